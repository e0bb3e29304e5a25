"""The demo's customers, deals and advocacy events: made up, believable, and the same on every machine.

Two customers carry the story. Customer A bought for 100,000 and referred 40,000: worth 140,000. Customer B bought for
30,000 and referred 250,000: worth 280,000, twice as much, though B's own purchases are a third of A's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from app.demo.people import add_people
from app.demo.world import FIRST_DAY, LAST_DAY, DemoWorld, Fields

SEED = 20_261

STEMS = (
    "Quillmoor", "Tarnbeck", "Velloria", "Brindlewick", "Osterwyn", "Marrowgate", "Fennickson", "Caldermere",
    "Zephyrane", "Halvornik", "Kestrelbay", "Nimbrooke", "Dunmarrow", "Pellucidor", "Arkwenna", "Solmarine",
    "Thistlerow", "Wexcombe", "Ivernole", "Jorvanta", "Lumbarrow", "Morwenik", "Orrinvale", "Pendragor",
    "Ravelshaw", "Silverhithe", "Tolland Vey", "Umberlyn",
)  # fmt: skip
TRADES = (
    ("Textiles", "Other"), ("Robotics", "Technology"), ("Logistics", "Other"), ("Dairy", "Agriculture"),
    ("Instruments", "Technology"), ("Savings Bank", "Banking"), ("Optics", "Technology"), ("Orchards", "Agriculture"),
)  # fmt: skip
STAGES_OPEN = ("Qualification", "Needs Analysis", "Proposal/Price Quote", "Negotiation/Review")
PRODUCTS = ("Starter", "Team plan", "Enterprise plan", "Rollout", "Support", "Training", "Second site", "Add-on pack")


def build_world() -> DemoWorld:
    """The whole demo, the same on every call."""
    world = DemoWorld()
    _tell_story(world)
    _add_group(world)
    _add_special_cases(world)
    _add_crowd(world, Random(SEED))  # noqa: S311 - made up on purpose, not a secret
    add_people(world, Random(SEED + 1))  # noqa: S311 - made up on purpose, too
    return world


def _tell_story(world: DemoWorld) -> None:
    """Customers A and B, and the customers they brought."""
    world.add_account("a", "Customer A", "Technology")
    world.add_account("b", "Customer B", "Agriculture")
    world.add_account("x", "Ellerby Glassworks")
    world.add_account("y", "Fairmantle Foods", "Agriculture")
    world.add_account("z", "Gladeway Clinics")
    world.add_deal("a-1", "a", "Enterprise plan", 65_000, date(2024, 2, 12))
    world.add_deal("a-2", "a", "Second site", 35_000, date(2025, 3, 3), Type="Existing Business")
    world.add_deal("b-1", "b", "Team plan", 30_000, date(2024, 5, 20))
    world.add_deal("x-1", "x", "Team plan", 40_000, date(2025, 6, 16))
    world.add_deal("y-1", "y", "Enterprise plan", 180_000, date(2025, 1, 13))
    world.add_deal("z-1", "z", "Rollout", 70_000, date(2025, 9, 8))
    world.add_event(
        "ref-001", "referral", "a", date(2025, 5, 5), referred_account="x", title="Introduced Ellerby at the user day"
    )
    world.add_event(
        "ref-002", "referral", "b", date(2024, 12, 2), opportunity="y-1", title="Called Fairmantle's head of operations"
    )
    world.add_event(
        "ref-003", "referral", "b", date(2025, 8, 18), referred_domain="gladewayclinics.example",
        title="Recommended us to Gladeway in their association",
    )  # fmt: skip
    world.add_event("case-001", "case_study", "b", date(2025, 2, 10), title="Customer B: half the waste in one season")


def _add_group(world: DemoWorld) -> None:
    """A group of companies; a referral inside it earns nothing under the default policy."""
    world.add_account("group", "Lindenfall Holding", "Banking")
    for key, name in (("g1", "Lindenfall Leasing"), ("g2", "Lindenfall Insurance"), ("g3", "Lindenfall Digital")):
        world.add_account(key, name, "Banking", ParentId="group")
    world.add_deal("group-1", "group", "Starter", 12_000, date(2024, 1, 22))
    world.add_deal("g1-1", "g1", "Team plan", 44_000, date(2024, 9, 2))
    world.add_deal("g2-1", "g2", "Team plan", 38_500, date(2025, 2, 17))
    world.add_deal("g3-1", "g3", "Add-on pack", 9_750, date(2025, 11, 10))
    world.add_event(
        "ref-010", "referral", "g1", date(2025, 1, 20), referred_account="g2", title="Told their sister company"
    )


def _add_special_cases(world: DemoWorld) -> None:
    """What real data always has: a merge, a refund, another currency, a shared credit, a contact, doubts."""
    world.add_account("old", "Norwick Pumps Ltd")
    world.add_account("new", "Norwick Pumps Group")
    world.add_deal("old-1", "old", "Team plan", 18_000, date(2024, 3, 18))
    world.add_deal("new-1", "new", "Second site", 22_000, date(2025, 4, 7), Type="Existing Business")
    world.merges.append(("new", "old"))

    world.add_account("refunded", "Hollowell Press")
    world.add_deal("refunded-1", "refunded", "Enterprise plan", 48_000, date(2025, 2, 24))
    world.add_deal("refunded-2", "refunded", "Refund of unused seats", -8_000, date(2025, 7, 1), Type="Refund")

    world.add_account("euro", "Brunnental Maschinenbau", "Technology", CurrencyIsoCode="EUR")
    world.add_deal("euro-1", "euro", "Rollout", 46_000, date(2025, 5, 19), CurrencyIsoCode="EUR")
    world.add_deal(
        "euro-2", "euro", "Support", 11_500, date(2026, 1, 12), CurrencyIsoCode="EUR", Type="Existing Business"
    )

    world.add_account("shared", "Ostlake Harbour Services")
    world.add_deal("shared-1", "shared", "Enterprise plan", 60_000, date(2026, 2, 2))
    for number, account, day in (("ref-020", "euro", date(2025, 12, 8)), ("ref-021", "new", date(2025, 12, 15))):
        world.add_event(number, "referral", account, day, referred_account="shared", title="Both spoke to Ostlake")

    world.add_contact("mira", "refunded", "Mira Solberg", "Buyer")
    world.add_account("moved", "Pinehollow Energy")
    world.add_deal("moved-1", "moved", "Team plan", 27_500, date(2026, 3, 9))
    world.contact_roles["moved-1-mira"] = {"OpportunityId": "moved-1", "ContactId": "mira", "Role": "Decision Maker"}
    world.add_event(
        "ref-022", "referral", "refunded", date(2026, 1, 19), referred_contact="mira", title="Their buyer moved on"
    )
    world.add_event(
        "ref-023", "referral", "x", date(2026, 4, 13), referred_account="moved", status="claimed",
        title="Says they sent Pinehollow; nobody has confirmed it",
    )  # fmt: skip


def _add_crowd(world: DemoWorld, dice: Random) -> None:
    """Everybody else: a few deals a year each, some open, some lost, some referred."""
    crowd = []
    for number, stem in enumerate(STEMS):
        trade, industry = TRADES[number % len(TRADES)]
        key = f"c{number}"
        world.add_account(key, f"{stem} {trade}", industry)
        crowd.append(key)
        for position, fields in enumerate(_invent_deals(dice)):
            world.add_deal(f"{key}-{position}", key, **fields)
    _invent_advocacy(world, crowd, dice)


def _invent_deals(dice: Random) -> Iterator[Fields]:
    """Six to ten deals of one customer over the three years."""
    for position in range(dice.randint(6, 10)):
        created = FIRST_DAY + timedelta(days=dice.randrange((LAST_DAY - FIRST_DAY).days - 60))
        amount = dice.randrange(8, 120) * 250
        fate = dice.random()
        fields: Fields = {"name": dice.choice(PRODUCTS), "amount": amount, "created": created}
        if position:
            fields["Type"] = "Existing Business"
        if fate < 0.22:
            fields["StageName"] = "Closed Lost"
        elif fate < 0.36:
            close = LAST_DAY + timedelta(days=dice.randrange(10, 180))
            fields |= {"StageName": dice.choice(STAGES_OPEN), "CloseDate": close}
        yield fields


def _invent_advocacy(world: DemoWorld, crowd: list[str], dice: Random) -> None:
    for number in range(10):
        referrer, buyer = dice.sample(crowd, 2)
        deals = [fields for fields in world.opportunities.values() if fields["AccountId"] == buyer]
        first = min(fields["CreatedDate"] for fields in deals)
        day = first - timedelta(days=dice.randrange(5, 90))
        world.add_event(f"ref-1{number:02}", "referral", referrer, day, referred_account=buyer, title="Recommended us")
    won = [key for key, fields in world.opportunities.items() if key.startswith("c") and fields["Amount"] > 9_000]
    for number in range(16):
        deal = dice.choice(won)
        fields = world.opportunities[deal]
        helper = dice.choice([key for key in crowd if key != fields["AccountId"]])
        kind = dice.choice(("reference_call", "site_visit", "rfp_reference", "case_study"))
        day = fields["CreatedDate"] + timedelta(days=dice.randrange(5, 40))
        world.add_event(
            f"deal-{number:03}", kind, helper, day, opportunity=deal, title="Helped another customer decide"
        )
    kinds = ("nps_response", "online_review", "testimonial_quote", "event_speaker", "beta_membership", "answer_given")
    for number in range(30):
        day = FIRST_DAY + timedelta(days=dice.randrange((LAST_DAY - FIRST_DAY).days))
        world.add_event(f"misc-{number:03}", dice.choice(kinds), dice.choice(crowd), day)
