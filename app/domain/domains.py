"""From an e-mail domain to the one account that it means, if there is one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.hierarchy import Hierarchy
from app.domain.model import Account

# Anybody can have an address there, so it says nothing about the company.
FREE_MAIL = frozenset(
    [
        "126.com",
        "163.com",
        "aim.com",
        "aol.com",
        "att.net",
        "bellsouth.net",
        "bluewin.ch",
        "btinternet.com",
        "charter.net",
        "comcast.net",
        "cox.net",
        "daum.net",
        "duck.com",
        "earthlink.net",
        "email.com",
        "fastmail.com",
        "fastmail.fm",
        "foxmail.com",
        "free.fr",
        "freenet.de",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hanmail.net",
        "hey.com",
        "hotmail.co.uk",
        "hotmail.com",
        "hotmail.de",
        "hotmail.fr",
        "hotmail.it",
        "hushmail.com",
        "icloud.com",
        "inbox.com",
        "inbox.ru",
        "interia.pl",
        "juno.com",
        "laposte.net",
        "libero.it",
        "list.ru",
        "live.co.uk",
        "live.com",
        "live.de",
        "live.fr",
        "live.nl",
        "mac.com",
        "mail.com",
        "mail.de",
        "mail.ru",
        "mailbox.org",
        "me.com",
        "msn.com",
        "naver.com",
        "o2.pl",
        "onet.pl",
        "online.de",
        "optonline.net",
        "orange.fr",
        "outlook.com",
        "outlook.de",
        "outlook.fr",
        "pm.me",
        "posteo.de",
        "proton.me",
        "protonmail.ch",
        "protonmail.com",
        "qq.com",
        "rediffmail.com",
        "rocketmail.com",
        "rogers.com",
        "sbcglobal.net",
        "seznam.cz",
        "sfr.fr",
        "shaw.ca",
        "sina.com",
        "sky.com",
        "sohu.com",
        "sympatico.ca",
        "t-online.de",
        "talktalk.net",
        "telenet.be",
        "tiscali.it",
        "tuta.com",
        "tuta.io",
        "tutanota.com",
        "uol.com.br",
        "verizon.net",
        "virgilio.it",
        "virginmedia.com",
        "wanadoo.fr",
        "web.de",
        "wp.pl",
        "yahoo.ca",
        "yahoo.co.in",
        "yahoo.co.jp",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.com.au",
        "yahoo.com.br",
        "yahoo.de",
        "yahoo.es",
        "yahoo.fr",
        "yahoo.it",
        "yandex.com",
        "yandex.ru",
        "yeah.net",
        "ymail.com",
        "ziggo.nl",
        "zoho.com",
    ]
)


@dataclass(frozen=True, slots=True)
class DomainBook:
    """Which account a domain means. A free-mail domain, or one that several accounts share, is ambiguous."""

    owners: dict[str, str]
    shared: frozenset[str]

    def owner(self, domain: str) -> str | None:
        """The surviving account that alone has the domain."""
        return self.owners.get(read_domain(domain))

    def is_ambiguous(self, domain: str) -> bool:
        """Whether nobody can tell which account is meant. A domain without any account is merely unknown."""
        return read_domain(domain) in FREE_MAIL or read_domain(domain) in self.shared


def build_domain_book(accounts: Iterable[Account], hierarchy: Hierarchy) -> DomainBook:
    """Merged accounts lend their domain to the survivor; deleted ones count for nothing."""
    found: dict[str, set[str]] = {}
    for account in accounts:
        survivor = hierarchy.account(account.id)
        if account.domain and survivor not in hierarchy.deleted:
            found.setdefault(read_domain(account.domain), set()).add(survivor)
    found = {domain: owners for domain, owners in found.items() if domain not in FREE_MAIL}
    shared = frozenset(domain for domain, owners in found.items() if len(owners) > 1)
    return DomainBook({domain: owners.pop() for domain, owners in found.items() if domain not in shared}, shared)


def read_domain(text: str) -> str:
    """Domains are compared in lower case, without blanks around or a dot at the end."""
    return text.strip().rstrip(".").lower()
