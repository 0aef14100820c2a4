"""The closed code lists of the canonical model.  Lists with dates (missions, ports, rules) are data files."""

SEX = ("male", "female", "unspecified")
MARITAL = ("single", "married", "widowed", "divorced")
DOCUMENT_KINDS = ("ordinary", "diplomatic", "official", "service", "travel_document")
# Kinds of companion (mahram) relation: what the companion is to the pilgrim.
RELATIONS = (
    "husband", "wife", "father", "mother", "son", "daughter", "brother", "sister",
    "grandfather", "grandmother", "uncle", "aunt", "nephew", "niece",
    "father_in_law", "mother_in_law", "son_in_law", "daughter_in_law", "guardian", "group_leader",
)  # fmt: skip
ROOMS = ("single", "double", "triple", "quad", "quint")
BOARD = ("none", "breakfast", "half", "full")
CITIES = ("makkah", "madinah", "jeddah", "taif", "yanbu")
MODES = ("air", "land", "sea", "rail")
VEHICLES = ("bus", "minibus", "car", "train")
GROUND_SERVICES = ("reception", "guide", "zamzam", "permits", "luggage", "catering")
VOUCHER_LINES = ("visa_fee", "e_fee", "insurance", "ground", "transport", "housing", "enrichment", "vat")
MOVEMENTS = ("expected", "no_show", "entered", "turned_back", "exited", "deported")
# ISO 4217 codes that partners of the hub settle in, with their minor units.
CURRENCIES = {
    "SAR": 2, "USD": 2, "EUR": 2, "KWD": 3, "BHD": 3, "JOD": 3, "IDR": 2, "PKR": 2, "EGP": 2, "TRY": 2, "JPY": 0,
}  # fmt: skip
