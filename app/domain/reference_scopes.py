"""What a customer can allow: eight kinds of consent, 8a to 8h of the commitment ladder. They are no staircase."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ReferenceScope(StrEnum):
    """8a to 8h, in the order of the ladder."""

    BASIC = "basic"
    NDA_ONLY = "nda_only"
    LINKEDIN = "linkedin"
    WEB_RELEASE = "web_release"
    PRESS_RELEASE = "press_release"
    OTHER_PUBLIC_DOCUMENT = "other_public_document"
    JOINT_PRESS_RELEASE = "joint_press_release"
    LOGO = "logo"

    @property
    def sub_level(self) -> str:
        """Its place on the ladder, `8a` to `8h`."""
        return SUB_LEVELS[self]

    @property
    def meaning(self) -> str:
        """What it allows, for people."""
        return _MEANINGS[self]

    @property
    def is_personal(self) -> bool:
        """Whether it is given by a person for itself, and goes with that person."""
        return self in PERSONAL


SUB_LEVELS: Mapping[ReferenceScope, str] = {
    scope: f"8{letter}" for scope, letter in zip(ReferenceScope, "abcdefgh", strict=True)
}
BY_SUB_LEVEL: Mapping[str, ReferenceScope] = {level: scope for scope, level in SUB_LEVELS.items()}
PERSONAL = frozenset(
    {ReferenceScope.BASIC, ReferenceScope.NDA_ONLY, ReferenceScope.LINKEDIN, ReferenceScope.WEB_RELEASE}
)
_MEANINGS: Mapping[ReferenceScope, str] = {
    ReferenceScope.BASIC: "takes calls from new prospects",
    ReferenceScope.NDA_ONLY: "name, title and company on a slide shown under NDA",
    ReferenceScope.LINKEDIN: "a reference on LinkedIn; suits firms that sell services",
    ReferenceScope.WEB_RELEASE: "name, title and company on the web site, with a testimonial statement",
    ReferenceScope.PRESS_RELEASE: "a press release with an agreed quote, or a set of quotes",
    ReferenceScope.OTHER_PUBLIC_DOCUMENT: "a case study, a white paper, a joint paper for a technical conference",
    ReferenceScope.JOINT_PRESS_RELEASE: "a joint press release; very big with a public company, hard for a young firm",
    ReferenceScope.LOGO: "the corporate logo; normally more effort than the word of one person",
}
