"""docs/sandbox.md and docs/webhooks.md as an operator and an agent type them: one shell, real processes."""

import re

import pytest

from hub.cli import hub
from tests.typed import ROOT, SANDBOX, Checkout

WEBHOOKS = (ROOT / "docs" / "webhooks.md").read_text("utf-8")


@pytest.mark.needs("openssl", "curl")
def test_an_agent_is_onboarded_hears_a_webhook_is_certified_and_goes_live(tmp_path):
    checkout = Checkout(tmp_path, ("8080", "8081", "9000"))
    home = checkout.home
    checkout.typed(
        f"""
        RECEIVER_URL=http://127.0.0.1:{checkout.ports["9000"]}/events
        touch secret.txt
        {checkout.commands(WEBHOOKS, "receive")[:-1]} >heard.txt &
        sleep 1
        {checkout.commands(WEBHOOKS, "subscribe")} >test.json
        for attempt in $(seq 100); do
            test -s heard.txt && break
            sleep 0.2
        done
        ({checkout.commands(WEBHOOKS, "openssl")}) >genuine.txt
        ({checkout.commands(SANDBOX, "certify")}) >certified.txt
        """,
        420,
    )
    assert (home / "genuine.txt").read_text().strip() == "genuine"
    heard = (home / "heard.txt").read_text("utf-8").splitlines()
    assert heard[0].startswith("webhook.test")
    # Of what the kit filed, too: the subscription heard the whole way to the reference number.
    assert {"request.accepted", "reference.issued"} <= {line.split()[0] for line in heard}
    certified = (home / "certified.txt").read_text("utf-8")
    told = re.search(r"```\n(is\tcase.*?)```", SANDBOX, re.S)
    assert told is not None
    assert certified.startswith(told[1]) and "agent_idn_77: live" in certified
    kept = (home / "report.html").read_text("utf-8")
    assert "Passed" in kept and "agent_idn_77" in kept and "Melati Travel" in kept and "ميلاتي للسفر" in kept
    assert re.findall(r"https?://", kept) == [], "the page needs nothing but itself"
    answers = (home / "answers.csv").read_text("utf-8")
    assert "agent_idn_78,refused" in answers and "company_99" in answers


def test_the_calls_and_commands_that_they_name_are_there():
    from types import SimpleNamespace

    from hub import settings
    from hub.web.app import create_app

    app = create_app(SimpleNamespace(settings=settings.load(None, {})))  # nothing is called
    rules = {
        (method, re.sub(r"<[^>]*>", "{}", str(rule))) for rule in app.url_map.iter_rules() for method in rule.methods
    }
    for method, path in re.findall(r"`(GET|POST|PATCH|DELETE) (/v1/[^`?]*)", WEBHOOKS):
        assert (method, re.sub(r"\{\w+\}", "{}", path)) in rules, path
    for words in re.findall(r"^hub (partner \w+|\w+)", SANDBOX + WEBHOOKS, re.M):
        group = hub
        for word in words.split():
            assert word in group.commands, words
            group = group.commands[word]
