"""States and nationalities: ISO 3166-1 alpha-3 with the further codes of ICAO Doc 9303 part 3, section 5."""

import gettext
from functools import cache

import pycountry

#: ICAO's own codes with their names: nationals and organisations that ISO 3166 has no code for.
_ICAO = {
    "D": ("Germany", "ألمانيا"),
    "EUE": ("European Union (laissez-passer)", "الاتحاد الأوروبي (جواز مرور)"),
    "GBD": ("British Overseas Territories Citizen", "مواطن أقاليم ما وراء البحار البريطانية"),
    "GBN": ("British National (Overseas)", "مواطن بريطاني (ما وراء البحار)"),
    "GBO": ("British Overseas Citizen", "مواطن بريطاني ما وراء البحار"),
    "GBP": ("British Protected Person", "شخص تحت الحماية البريطانية"),
    "GBS": ("British Subject", "رعية بريطانية"),
    "RKS": ("Kosovo", "كوسوفو"),
    "UNA": ("United Nations specialised agency", "وكالة متخصصة تابعة للأمم المتحدة"),
    "UNK": ("United Nations Interim Administration Mission in Kosovo", "بعثة الأمم المتحدة في كوسوفو"),
    "UNO": ("United Nations", "الأمم المتحدة"),
    "XBA": ("African Development Bank", "البنك الأفريقي للتنمية"),
    "XIM": ("African Export-Import Bank", "البنك الأفريقي للتصدير والاستيراد"),
    "XCC": ("Caribbean Community", "الجماعة الكاريبية"),
    "XCE": ("Council of Europe", "مجلس أوروبا"),
    "XCO": ("Common Market for Eastern and Southern Africa", "السوق المشتركة لشرق وجنوب أفريقيا"),
    "XDC": ("Southern African Development Community", "الجماعة الإنمائية للجنوب الأفريقي"),
    "XEC": ("Economic Community of West African States", "الجماعة الاقتصادية لدول غرب أفريقيا"),
    "XES": ("Organisation of Eastern Caribbean States", "منظمة دول شرق الكاريبي"),
    "XMP": ("Parliamentary Assembly of the Mediterranean", "الجمعية البرلمانية للبحر الأبيض المتوسط"),
    "XOM": ("Sovereign Military Order of Malta", "منظمة فرسان مالطة"),
    "XPO": ("International Criminal Police Organization", "المنظمة الدولية للشرطة الجنائية"),
    "XXA": ("Stateless person", "عديم الجنسية"),
    "XXB": ("Refugee (1951 Convention)", "لاجئ (اتفاقية 1951)"),
    "XXC": ("Refugee (other)", "لاجئ (غير ذلك)"),
    "XXX": ("Person of unspecified nationality", "شخص غير محدد الجنسية"),
}

#: Every code that a nationality, a residence or an issuing state may have.
STATES: frozenset[str] = frozenset(country.alpha_3 for country in pycountry.countries) | _ICAO.keys()


@cache
def name(code: str, language: str = "en") -> str:
    """What state *code* is called in *language*, ``en`` or ``ar``.  Raises KeyError for one not in :data:`STATES`."""
    if code in _ICAO:
        return _ICAO[code][language == "ar"]
    country = pycountry.countries.get(alpha_3=code)
    if country is None:
        raise KeyError(code)
    english: str = getattr(country, "common_name", country.name)
    if language == "en":
        return english
    if code == "TUR":
        # Renamed in ISO 3166 since the library's Arabic list was made.
        return "تركيا"
    arabic = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [language])
    found = arabic.gettext(english)
    return found if found != english else arabic.gettext(country.name)
