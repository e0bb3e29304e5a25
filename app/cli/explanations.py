"""What each code means and what to do about it: the text behind `advocacy errors CODE`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    meaning: str
    action: str


EXPLANATIONS: Mapping[str, Explanation] = {
    "ADV-CFG-001": Explanation(
        "A setting has a value that cannot work, or a name that does not exist.",
        "Each line of the message names the setting. `advocacy config show --origin` says where its value comes from.",
    ),
    "ADV-CFG-002": Explanation(
        "A settings file cannot be read, or a secret is given twice.",
        "Check the path and the TOML of the file; keep either the setting or its ..._FILE variant.",
    ),
    "ADV-EVT-001": Explanation(
        "The columns of an import file are not the ones events have. Nothing was imported.",
        "Rename the columns as the message suggests and import again; `advocacy events import --help` lists them.",
    ),
    # Of a value in the CRM. The record is kept; only the bad value is left out.
    "bad_id": Explanation(
        "A record's id is not an id of this CRM, so the record cannot be stored.",
        "Usually a truncated export or a spreadsheet that changed the case of ids. Export again.",
    ),
    "duplicate_id": Explanation(
        "The same id came twice with different contents; the last one counts.", "Check the export."
    ),
    "bad_reference": Explanation(
        "A field that should name another record holds no valid id.", "Correct the field in the CRM."
    ),
    "bad_amount": Explanation(
        "An amount is not a number, not finite or too large. The opportunity counts without an amount.",
        "Correct the amount in the CRM.",
    ),
    "bad_date": Explanation("A date cannot be read.", "Correct the field in the CRM, or its transform in the mapping."),
    "bad_flag": Explanation("A yes/no field holds something else.", "Add a `bool` or `map` transform in the mapping."),
    "bad_number": Explanation(
        "A number field holds something else.", "Correct the field, or its transform in the mapping."
    ),
    "bad_currency": Explanation("A currency is not a three-letter code.", "Correct the field in the CRM."),
    "required_missing": Explanation("A value that is needed is empty.", "Fill the field in the CRM."),
    "text_cleaned": Explanation("Characters that no database can hold were removed from a text.", "Nothing to do."),
    # Of a run as a whole.
    "count_mismatch": Explanation(
        "The CRM holds another number of live records than we do, also after reading again.",
        "Nothing at first: the next run reads that object in full. If it stays, check the rights of the user.",
    ),
    "not_counted": Explanation(
        "The CRM took too long to count its records, so that its counts and ours could not be compared.",
        "Nothing: the next run counts again. If it stays, run at a quieter time, or narrow `where` in the mapping.",
    ),
    "ledger_differs": Explanation(
        "Stored credit lines differed from a computation from scratch; everything was computed again.",
        "Please report it with the run's report: it is a bug.",
    ),
    "value_differs": Explanation(
        "Stored sums of accounts differed from the sums of their credit lines, or ranks from the order of the sums; "
        "everything was computed again.",
        "Please report it with the run's report: it is a bug.",
    ),
    "measures_differ": Explanation(
        "Stored points, segments or other measures beside the money differed from a computation from scratch; all were "
        "computed again.",
        "Please report it with the run's report: it is a bug.",
    ),
    "account_unknown": Explanation(
        "Opportunities name accounts that are not held: a wrong id, a filter in the mapping, or a missing right. Their "
        "money is part of the portfolio, but no account in the list shows it.",
        "Correct the account of the opportunity, the filter, or the rights of the user.",
    ),
    "event_account_unknown": Explanation(
        "Referrals were made by accounts that are not held; they take their share of the credit all the same.",
        "Reject the event and import it under a new id with the right account, or let the account be read.",
    ),
    "milestone_names_nothing": Explanation(
        "Milestones (referral.accepted, referral.won ...) name a referral that nobody has sent: they change nothing. "
        "One that arrives later is changed then.",
        "Look at them with `advocacy events list`; send the referral, or the milestone again under a new id.",
    ),
    "closes_nothing": Explanation(
        "A `problem_closed` names an event that its account does not have, or that began later, and closes nothing: a "
        "slip in the id, or the event has not arrived yet.",
        "See them in `advocacy triage --json`; close the right one with `advocacy assess close EVENT`.",
    ),
    # Of the value of an account.
    "amount_missing": Explanation(
        "A won opportunity has no amount, so it adds nothing to the customer's value.", "Fill the amount in the CRM."
    ),
    "rate_missing": Explanation(
        "No exchange rate is known for an opportunity's currency on its close date, so it adds nothing.",
        "Add the currency and its rate in the CRM (or in currency_rates.csv).",
    ),
    "overallocated": Explanation(
        "Explicit shares of one opportunity add up to more than 100 %; they were scaled down.",
        "Correct `share_percent` of the referrals that name the opportunity.",
    ),
    "self_referral": Explanation(
        "A customer is named as its own referrer; that earns nothing.", "Correct the referral."
    ),
    "intra_group": Explanation(
        "Referrer and buyer belong to one group of companies; the policy gives no credit for that.",
        "Nothing to do, or `intra_group: allow` in the policy of the mapping.",
    ),
    "after_close": Explanation(
        "A referral is dated after the opportunity was closed; it earns nothing.", "Check the date."
    ),
    "referral_after_created": Explanation(
        "A referral is dated after the opportunity was created, so it did not bring it.", "Check the date."
    ),
    "ambiguous_domain": Explanation(
        "A referral names a domain that several accounts share or that is a free mail service.",
        "Name the account or the opportunity in the referral instead.",
    ),
    "merge_cycle": Explanation(
        "Accounts are merged into each other in a circle: one has the money of all, and none is written in the CRM.",
        "Correct the merge in the CRM; `advocacy accounts --all` lists them with this issue.",
    ),
    "parent_cycle": Explanation(
        "Accounts are parents of each other in a circle.", "Correct the parent account in the CRM."
    ),
    "referrer_deleted": Explanation("The account that referred was deleted.", "Nothing to do, or restore the account."),
    "duplicate_claim": Explanation(
        "Two referrals by the same customer claim the same opportunity; it counts once.", "Nothing to do."
    ),
    "backdated_claim": Explanation(
        "A referral was recorded after the opportunity was created but dated before it; it waits for confirmation.",
        "Ask the buyer, then `advocacy events verify EVENT --reason TEXT`, or `events reject`.",
    ),
}


def list_codes() -> list[tuple[str, str]]:
    """Every code with its meaning; those of the mapping file come from the mapping itself."""
    from app.mapping.codes import CODES

    of_mapping = [(code, entry.meaning) for code, entry in CODES.items()]
    return of_mapping + [(code, entry.meaning) for code, entry in EXPLANATIONS.items()]


def explain_code(code: str) -> Explanation | None:
    """The explanation of a code, whatever its case."""
    from app.mapping.codes import CODES

    wanted = code.strip().lower()
    known: dict[str, Explanation] = {name.lower(): entry for name, entry in EXPLANATIONS.items()}
    known |= {name.lower(): Explanation(entry.meaning, entry.action) for name, entry in CODES.items()}
    return known.get(wanted)
