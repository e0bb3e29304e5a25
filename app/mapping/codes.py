"""Every problem a mapping can have: a stable code, what it means, what to do. `advocacy errors CODE` prints these.

A code never changes its meaning and is never used again after it is retired.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from app.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    title: str
    meaning: str
    action: str


_TABLE = (
    # The file as text and as YAML.
    (
        1,
        "file cannot be read",
        "The mapping file is missing or may not be read.",
        "Check the path and its permissions.",
    ),
    (
        2,
        "file is too large",
        "A mapping file may have at most 256 kB.",
        "Split nothing: remove what is not a mapping. The largest useful mapping has a few kB.",
    ),
    (
        3,
        "not readable as text",
        "The file is not UTF-8, or holds characters that no text file should hold.",
        "Save the file as UTF-8 and remove the character at the position shown.",
    ),
    (4, "not valid YAML", "The YAML cannot be parsed.", "Look at the position shown: indentation, quotes, colons."),
    (
        5,
        "the same key twice",
        "A key stands twice in one block, so one of the two would be lost.",
        "Remove one of them.",
    ),
    (
        6,
        "too deep or too large",
        "The YAML is nested too deeply, or its aliases expand to too much.",
        "Write the values out; a mapping needs no more than ten levels.",
    ),
    (
        7,
        "YAML feature not allowed",
        "Tags, merge keys, several documents and keys that are not text are not allowed here.",
        "Write the value out in plain YAML.",
    ),
    (8, "not a mapping file", "The file is empty or is not a block of `key: value`.", "Start from a shipped mapping."),
    (
        9,
        "unknown version",
        "The file says a version of the format that this program does not know.",
        "Use `version: 1`.",
    ),
    # The shape.
    (10, "unknown key", "No such key is known at this place.", "Correct the spelling, or remove the key."),
    (11, "key missing", "A key that is always needed is missing.", "Add it."),
    (12, "wrong kind of value", "Another kind of value is needed here.", "Write the kind of value that is named."),
    (13, "value not allowed", "Only certain values are allowed here.", "Choose one of the values listed."),
    (14, "value out of range", "The number or text is outside its limits.", "Choose a value within the limits."),
    (
        15,
        "not a field name",
        "CRM names consist of letters, digits and `_`; a dot leads to a field of a related record.",
        "Use the API name of the field, not its label.",
    ),
    (
        16,
        "unknown attribute",
        "This entity has no such attribute.",
        "Use one of the attributes listed in mappings/README.md.",
    ),
    (17, "attribute missing", "Without this attribute the entity cannot be used.", "Map it to a field."),
    (
        18,
        "unknown transform",
        "Only the named transforms exist; there is no expression language.",
        "Use one of those listed.",
    ),
    (
        19,
        "wrong transform argument",
        "The transform needs other arguments.",
        "See the transform's line in mappings/README.md.",
    ),
    (
        20,
        "transform does not fit",
        "This transform makes no sense for this attribute, or at this place of the list.",
        "Remove it, or use one that fits.",
    ),
    (
        22,
        "condition value does not fit",
        "The value of a condition does not fit its operator.",
        "`in` and `not in` take a non-empty list, `like` takes text, null goes with `=` and `!=` only.",
    ),
    (23, "unknown measure", "There is no such measure to write back.", "Use one of the measures listed."),
    (
        24,
        "two measures, one field",
        "Two measures would overwrite each other in one CRM field.",
        "Give each its own field.",
    ),
    (
        25,
        "type does not fit the measure",
        "The measure cannot be written as this type.",
        "Leave `type` out, or choose one of the types listed.",
    ),
    (
        26,
        "option does not fit the type",
        "`scale` is for numbers, `max_length` for text, `values` for text and picklists.",
        "Remove the option.",
    ),
    (27, "unknown time zone", "The time zone is not an IANA name.", "Write for example `Europe/Berlin` or `UTC`."),
    (28, "not a currency code", "Currencies are three capital letters (ISO 4217).", "Write for example `USD`."),
    (
        29,
        "field is read and written",
        "A field that the valuation reads would be overwritten by its result.",
        "Write the measure to a field of its own.",
    ),
    (
        30,
        "filter hides deletions",
        "A condition on the deletion mark would hide deleted records, and their money would stay for ever.",
        "Remove the condition: deleted records are taken care of.",
    ),
    (
        31,
        "other object",
        "Measures can be written to the accounts' own object only.",
        "Leave `write_back.object` out, or name the object of `accounts`.",
    ),
    (
        32,
        "unknown connector",
        "`crm` names no connector that there is.",
        "Use one of the names listed; for a CRM without one export CSV files and use `files`.",
    ),
    (
        33,
        "consent that could outlast its end",
        "Every run overwrites what a customer allows, or empties it; another `policy` could keep what was withdrawn.",
        "Leave `policy` out for this measure.",
    ),
    (
        40,
        "unknown policy override",
        "`--policy` knows no such key.",
        "Use a key of the policy block, e.g. `window_days`.",
    ),
    (41, "wrong policy override", "The override is not `key=value`, or the value is not allowed.", "See the message."),
    # The file against the CRM.
    (
        50,
        "object does not exist or is hidden",
        "The CRM shows no such object to the connecting user: it does not exist, or the user may not see it.",
        "Check the API name; give the user read access; or mark the section `optional: true`.",
    ),
    (
        51,
        "field does not exist or is hidden",
        "The CRM shows no such field to the connecting user: it does not exist, or field-level security hides it.",
        "Check the API name; give the user access; or mark it `optional: true`. `advocacy crm setup` creates ours.",
    ),
    (52, "capitals differ", "The name differs from the CRM's in capitals only.", "Write it exactly as the CRM does."),
    (53, "compound field", "The field is a compound of others and has no single value.", "Use one of its parts."),
    (54, "field may not be written", "The connecting user may not change this field.", "Give the user edit access."),
    (55, "field is calculated", "The CRM computes this field itself (formula, roll-up).", "Write to a plain field."),
    (56, "type does not fit the field", "The CRM field is of another type.", "Change `type`, or choose another field."),
    (
        57,
        "too many decimals",
        "The CRM field keeps fewer decimals than `scale`.",
        "Lower `scale`, or change the field.",
    ),
    (58, "text too long", "`max_length` is more than the CRM field holds.", "Lower `max_length`, or leave it out."),
    (
        59,
        "picklist value missing",
        "The picklist is restricted and does not contain a value that would be written.",
        "Add the value to the picklist, or map it with `values`.",
    ),
    (60, "object may not be written", "The connecting user may not change records of the object.", "Give edit access."),
    (
        61,
        "condition does not fit the field",
        "The value of the condition cannot be a value of that CRM field.",
        "Write a value of the field's type.",
    ),
    (
        62,
        "currency field in a multi-currency CRM",
        "A currency field is shown in the record's own currency, but our amounts are in the reporting currency.",
        "Write to a plain number field, or make sure that the accounts' currency is the reporting currency.",
    ),
    (
        63,
        "currency not read in a multi-currency CRM",
        "The CRM has several currencies, but the mapping lacks that of the deals or of the accounts, or it is hidden.",
        "Give the user read access and map `currency`; if all are in one: `currency: {transform: [{const: USD}]}`.",
    ),
    (
        64,
        "field of another kind",
        "What the CRM field holds by its type is not what the attribute needs, and no transform makes it so.",
        "Read another field, or add a transform such as `parse_date`, `bool` or `map`; see mappings/README.md.",
    ),
)

CODES = {f"ADV-MAP-{number:03}": Code(f"ADV-MAP-{number:03}", *rest) for number, *rest in _TABLE}


def explain_code(code: str) -> Code:
    """The entry of one code, in any capitals; ConfigError with a suggestion for an unknown one."""
    wanted = code.strip().upper()
    if wanted in CODES:
        return CODES[wanted]
    close = get_close_matches(wanted, CODES, 1)
    raise ConfigError(f"there is no error code {code!r}", hint=f"did you mean {close[0]}?" if close else "")
