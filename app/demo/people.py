"""The human half of the demo: what people said, promised, allowed and complained about.

Customers A and B are both in trouble on the same day. Whoever looks at spend alone sees A first, and B is worth twice
as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

from app.demo.world import TODAY, DemoWorld

KIM, RAVI = "Kim Aldous", "Ravi Menon"
ZEPHYRANE, SOLMARINE, SILVERHITHE, ORRINVALE, MARROWGATE = "c8", "c15", "c25", "c22", "c5"
NAMES = (
    "Ada Merrow", "Bruno Kest", "Celia Orme", "Dario Finch", "Elin Voss", "Farah Nadeem", "Gil Sandoval", "Hana Ito",
    "Ivo Brandt", "June Okafor",
)  # fmt: skip
TITLES = ("Buyer", "Head of IT", "Operations Manager", "Finance Director")
ANSWERS = {
    "need_you": ("We could not do a month end without it.", "It is the first thing we open in the morning."),
    "ok": ("It does what we bought it for.", "Fine, though two others have shown us theirs."),
    "who_are_you": ("Remind me what we use you for?", "That is on the list of things to cut."),
}


def add_people(world: DemoWorld, dice: Random) -> None:
    """All of it; `world` holds the customers and the deals already."""
    _add_story(world)
    _add_trouble(world)
    _add_consents(world)
    _add_ladder(world)
    _add_voices(world, dice)
    _add_prospects(world)


def _say(world: DemoWorld, number: str, kind: str, account: str, day: date, /, **attributes: Any) -> None:
    """One event that is nothing but what was said. `contact`, `opportunity`, `title`, `valid_to` are its envelope."""
    envelope = {name: attributes.pop(name) for name in _ENVELOPE if name in attributes}
    told = {"attributes": attributes} if attributes else {}
    world.add_event(number, kind, account, day, **envelope, **told)


_ENVELOPE = ("contact", "opportunity", "title", "valid_to")


def _add_story(world: DemoWorld) -> None:
    """Customers A and B, as the people who know them see them."""
    world.add_contact("owen", "a", "Owen Tarrant", "Head of IT")
    world.add_contact("iris", "b", "Iris Halloran", "Head of Operations")
    _say(
        world, "urgent-a", "escalation", "a", date(2026, 9, 21), contact="owen", severity="high", hours=2,
        title="Invoices cannot be exported since the last update",
    )  # fmt: skip
    _say(
        world, "urgent-b", "escalation", "b", date(2026, 9, 28), contact="iris", severity="high", hours=3,
        title="Planning stops at two thousand fields",
    )  # fmt: skip
    _say(world, "care-a", "care_answer", "a", date(2026, 9, 2), contact="owen", bucket="ok", caller=RAVI,
         verbatim="It does the job. We look at others every year.", reasons=["price"])  # fmt: skip
    _say(world, "care-b", "care_answer", "b", date(2026, 8, 12), contact="iris", bucket="need_you", caller=KIM,
         verbatim="We could not plan a season without it.", reasons=["planning", "less waste"])  # fmt: skip
    _say(
        world, "offer-a", "offer_rating", "a", date(2026, 5, 14), basis="value_added", pays_premium=True, rated_by=RAVI
    )
    _say(world, "offer-b", "offer_rating", "b", date(2026, 6, 2), basis="features", rated_by=KIM)
    _say(world, "rep-a", "personal_rating", "a", date(2026, 5, 14), rep=RAVI, product_knowledge=True, rated_by=RAVI)
    _say(world, "rep-b", "personal_rating", "b", date(2026, 6, 2), rep=KIM, understands_business=True, rated_by=KIM)
    _say(world, "bobble-b", "recognition_received", "b", date(2026, 5, 20), item="bobble-head", rep=KIM,
         title="Kim as a bobble-head, with a tractor")  # fmt: skip
    _say(world, "metric-b", "success_metric", "b", date(2025, 11, 10), owner="customer", kind="profit",
         name="Harvest lost to late picking", unit="%", baseline="18", target="9", actual="8",
         agreed_on="2025-11-10")  # fmt: skip
    _say(world, "traits-b", "reference_traits", "b", date(2026, 6, 2), brand=1, target_vertical=4, quantified_results=4,
         articulate=4, passionate=4, willing_variety=3, rated_by=KIM)  # fmt: skip
    _say(world, "profile-b", "reference_profile", "b", date(2026, 6, 2), industry="Agriculture", products=["Team plan"],
         roles=["Head of Operations"], size=260, regions=["Europe"], languages=["en"],
         use_cases=["season planning"])  # fmt: skip
    _say(world, "call-b", "reference_call", "b", date(2026, 3, 17), contact="iris", title="Told a dairy how they plan")


def _add_trouble(world: DemoWorld) -> None:
    """What else is urgent, and what does not go together."""
    world.add_contact("lena", "euro", "Lena Vogt", "Production Manager")
    _say(world, "urgent-c8", "churn_signal", ZEPHYRANE, date(2026, 9, 29), severity="critical", hours=2,
         title="Asked for an export of all their data")  # fmt: skip
    _say(world, "urgent-euro", "complaint", "euro", date(2026, 9, 24), contact="lena", hours=1,
         title="Support answers in English only")  # fmt: skip
    _say(world, "solved-c5", "escalation", MARROWGATE, date(2026, 7, 6), title="Month end took a night")
    _say(world, "solved-c5-2", "recovered", MARROWGATE, date(2026, 7, 9), title="Fixed, and said thank you")
    _say(world, "care-c15", "care_answer", SOLMARINE, date(2026, 8, 25), bucket="need_you", caller=KIM,
         verbatim="We would have to hire three people.", reasons=["saves time"])  # fmt: skip
    _say(world, "offer-c15", "offer_rating", SOLMARINE, date(2026, 8, 25), basis="price", rated_by=KIM)
    _say(world, "licence-g1", "annual_license_signed", "g1", date(2025, 11, 17), months=12)
    _say(world, "stopped-g1", "value_stopped", "g1", date(2026, 8, 31), note="The team that used it is gone")
    _say(world, "usage-g1", "usage_report", "g1", date(2026, 9, 14), usage_percent=3)


def _add_consents(world: DemoWorld) -> None:
    """Who may be named where; one has run out, one was taken back, one was promised and never came."""
    world.add_contact("ada", SILVERHITHE, "Ada Lindgren", "Head of Engineering")
    world.add_contact("noor", ORRINVALE, "Noor Haddad", "Managing Director")
    for number, account, contact, scopes, day, ends in (
        ("consent-b", "b", "iris", ["basic", "nda_only", "web_release"], date(2025, 11, 10), date(2027, 11, 10)),
        ("consent-c25", SILVERHITHE, "ada", ["basic", "linkedin"], date(2026, 2, 9), date(2027, 2, 9)),
        ("consent-c22", ORRINVALE, "noor", ["basic", "logo"], date(2026, 1, 12), date(2027, 1, 12)),
        ("consent-new", "new", None, ["logo"], date(2025, 3, 3), date(2026, 3, 3)),
        ("consent-refunded", "refunded", "mira", ["basic"], date(2025, 9, 1), date(2027, 9, 1)),
    ):
        who = {"contact": contact} if contact else {}
        _say(world, number, "permission_granted", account, day, valid_to=ends, scopes=scopes,
             document="Reference agreement", **who)  # fmt: skip
    _say(world, "revoked-refunded", "permission_revoked", "refunded", date(2026, 4, 20), contact="mira",
         scopes=["basic"])  # fmt: skip
    _say(world, "promised-shared", "permission_promised", "shared", date(2026, 2, 16), opportunity="shared-1",
         scopes=["logo"], due_on="2026-05-15")  # fmt: skip
    _say(world, "used-b", "permission_used", "b", date(2026, 1, 20), contact="iris", scopes=["web_release"],
         where="Website, customers in agriculture")  # fmt: skip
    _say(world, "traits-c25", "reference_traits", SILVERHITHE, date(2026, 3, 2), brand=4, target_vertical=3,
         quantified_results=3, articulate=2, passionate=3, willing_variety=4, rated_by=RAVI)  # fmt: skip
    _say(world, "traits-c22", "reference_traits", ORRINVALE, date(2026, 3, 2), brand=2, target_vertical=1, articulate=1,
         passionate=1, rated_by=RAVI)  # fmt: skip
    for count, day in enumerate((date(2026, 8, 17), date(2026, 9, 9))):
        _say(world, f"ask-c25-{count}", "ask_accepted", SILVERHITHE, day, contact="ada", minutes=30)


def _add_ladder(world: DemoWorld) -> None:
    """Steps of commitment that no deal shows."""
    for number, kind, account, day, attributes in (
        ("needs-b", "needs_shared", "b", date(2026, 4, 8), {}),
        ("roadmap-b", "roadmap_shared", "b", date(2026, 4, 8), {"mutual_nda": True}),
        ("pilot-y", "pilot_purchased", "y", date(2026, 7, 1), {"seats": 5, "months": 3}),
        ("needs-y", "needs_shared", "y", date(2026, 6, 3), {}),
        ("attention-c4", "attention_given", "c4", date(2026, 9, 7), {}),
        ("effort-c4", "evaluation_effort", "c4", date(2026, 9, 21), {}),
        ("data-c9", "project_data_shared", "c9", date(2026, 5, 11), {}),
    ):
        _say(world, number, kind, account, day, **attributes)
    _say(world, "roles-c12", "roles_set", "c12", date(2026, 6, 15), add=["x_ambassador"])


def _add_voices(world: DemoWorld, dice: Random) -> None:
    """What the others answered, how they use it, and what the people who look after them think."""
    busy = {ZEPHYRANE, SOLMARINE}
    crowd = sorted(
        (key for key in world.accounts if key.startswith("c") and key not in busy), key=lambda key: int(key[1:])
    )
    for number, (account, name) in enumerate(zip(dice.sample(crowd, len(NAMES)), NAMES, strict=True)):
        world.add_contact(f"p{number}", account, name, dice.choice(TITLES))
        bucket = dice.choice(("need_you", "ok", "ok", "who_are_you"))
        day = TODAY - timedelta(dice.randrange(10, 160))
        _say(world, f"care-{number:02}", "care_answer", account, day, contact=f"p{number}", bucket=bucket,
             verbatim=dice.choice(ANSWERS[bucket]), caller=dice.choice((KIM, RAVI)))  # fmt: skip
    for number, account in enumerate(dice.sample(crowd, 12)):
        day = TODAY - timedelta(dice.randrange(5, 80))
        _say(world, f"usage-{number:02}", "usage_report", account, day, usage_percent=dice.randrange(15, 130),
             sponsor=dice.random() < 0.6)  # fmt: skip
    for number, account in enumerate(dice.sample(crowd, 14)):
        day = TODAY - timedelta(dice.randrange(10, 300))
        basis, seen = dice.choice(tuple(_bases()))
        rep = dice.choice((KIM, RAVI))
        _say(world, f"offer-{number:02}", "offer_rating", account, day, basis=basis, rated_by=rep, **seen)
        tick = dice.choice(("passes_prices", "product_knowledge", "understands_business"))
        _say(world, f"rep-{number:02}", "personal_rating", account, day, rep=rep, rated_by=rep, **{tick: True})


def _bases() -> Iterator[tuple[str, dict[str, bool]]]:
    yield "price", {}
    yield "features", {}
    yield "features", {"calls_first": True}
    yield "value_added", {"calls_first": True, "last_chance": True}
    yield "value_added", {"pays_premium": True}
    yield "tco", {"pays_premium": True}


def _add_prospects(world: DemoWorld) -> None:
    """Two that have bought nothing yet, with an open deal each, and much in common with customers who need us."""
    world.add_account("p-1", "Harrowdene Growers", "Agriculture", NumberOfEmployees=420)
    world.add_account("p-2", "Coldbrook Nurseries", "Agriculture", NumberOfEmployees=75)
    world.add_contact("tove", "p-1", "Tove Lindahl", "Head of Operations")
    world.add_deal("p-1-1", "p-1", "Team plan", 28_000, date(2026, 8, 24), StageName="Proposal/Price Quote",
                   CloseDate=date(2026, 11, 30))  # fmt: skip
    world.add_deal("p-2-1", "p-2", "Starter", 9_000, date(2026, 9, 14), StageName="Needs Analysis",
                   CloseDate=date(2026, 12, 18))  # fmt: skip
    _say(world, "needs-p-1", "needs_shared", "p-1", date(2026, 9, 3), contact="tove", needs=["planning", "less waste"])
    _say(world, "needs-p-2", "needs_shared", "p-2", date(2026, 9, 22), needs=["saves time"])
