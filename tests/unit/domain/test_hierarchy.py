"""Merges, parents and the circles people build with them; domains and whom they mean."""

import pytest

from app.domain.domains import FREE_MAIL, build_domain_book, read_domain
from app.domain.hierarchy import build_hierarchy, canonical_ids, ultimate_parents
from app.domain.model import Account, AccountIssue, Issue


@pytest.mark.parametrize(
    ("merged", "expected"),
    [
        ({}, {}),
        ({"a": "b"}, {"a": "b"}),
        ({"a": "b", "b": "c"}, {"a": "c", "b": "c"}),
        ({"b": "a", "a": "b"}, {"b": "a"}),
        ({"z": "c", "c": "b", "b": "c"}, {"z": "b", "c": "b"}),
        ({"a": "a"}, {}),
    ],
)
def test_merges_are_followed_to_the_end_and_a_circle_means_its_smallest_id(merged, expected):
    assert canonical_ids(merged) == expected
    assert canonical_ids(dict(reversed(merged.items()))) == expected


def test_the_ultimate_parent_is_at_the_top_of_the_tree():
    assert ultimate_parents({"c": "b", "b": "a", "x": "a"}) == {"c": "a", "b": "a", "x": "a"}


def test_an_account_stands_below_all_its_parents_once():
    hierarchy = build_hierarchy([Account("a"), Account("b", parent_id="a"), Account("c", parent_id="b")])

    assert hierarchy.line_of("c") == ("c", "b", "a")
    assert hierarchy.group("c") == "a"
    assert hierarchy.issues == ()


def test_members_of_a_parent_circle_are_above_each_other_and_the_circle_is_reported():
    hierarchy = build_hierarchy([Account("a", parent_id="b"), Account("b", parent_id="a"), Account("c", parent_id="b")])

    assert hierarchy.line_of("a") == ("a", "b")
    assert hierarchy.line_of("c") == ("c", "b", "a")
    assert {hierarchy.group(id_) for id_ in "abc"} == {"a"}
    assert [(issue.code, issue.account_id) for issue in hierarchy.issues] == [
        (Issue.PARENT_CYCLE, "a"),
        (Issue.PARENT_CYCLE, "b"),
    ]


def test_children_of_a_merged_account_belong_to_the_survivor():
    hierarchy = build_hierarchy(
        [Account("old", merged_into_id="new", parent_id="elsewhere"), Account("new"), Account("child", parent_id="old")]
    )

    assert hierarchy.account("old") == "new"
    assert hierarchy.line_of("child") == ("child", "new")
    assert hierarchy.parents == {"child": "new"}


def test_a_child_that_was_merged_with_its_parent_is_not_its_own_parent():
    hierarchy = build_hierarchy([Account("a", merged_into_id="b"), Account("b", parent_id="a")])

    assert hierarchy.parents == {}
    assert hierarchy.issues == ()


def test_a_merged_account_is_not_deleted_and_a_deleted_one_is():
    hierarchy = build_hierarchy([Account("a", merged_into_id="b", is_deleted=True), Account("c", is_deleted=True)])

    assert hierarchy.deleted == {"c"}
    assert hierarchy.account("a") == "b"


def test_a_merge_circle_is_reported_for_each_account_in_it_and_for_none_that_only_leads_there():
    accounts = [Account("a", merged_into_id="b"), Account("b", merged_into_id="a"), Account("c", merged_into_id="a")]

    found = [build_hierarchy(rows).issues for rows in (accounts, accounts[::-1])]

    assert found == [(AccountIssue(Issue.MERGE_CYCLE, "a"), AccountIssue(Issue.MERGE_CYCLE, "b"))] * 2


def test_long_chains_of_merges_end():
    links = {f"{number:05}": f"{number + 1:05}" for number in range(2000)}

    assert set(canonical_ids(links).values()) == {"02000"}


ACCOUNTS = [
    Account("a", domain="One.example"),
    Account("b", domain="two.example"),
    Account("c", domain="two.example"),
    Account("d", domain="three.example"),
    Account("e", domain="three.example", merged_into_id="d", is_deleted=True),
    Account("f", domain="four.example", is_deleted=True),
    Account("g", domain="gmail.com"),
]


@pytest.mark.parametrize(
    ("domain", "owner", "is_ambiguous"),
    [
        ("one.example", "a", False),
        (" ONE.example. ", "a", False),
        ("two.example", None, True),
        ("three.example", "d", False),
        ("four.example", None, False),
        ("gmail.com", None, True),
        ("nobody.example", None, False),
    ],
)
def test_a_domain_means_the_one_account_that_has_it(domain, owner, is_ambiguous):
    book = build_domain_book(ACCOUNTS, build_hierarchy(ACCOUNTS))

    assert (book.owner(domain), book.is_ambiguous(domain)) == (owner, is_ambiguous)


def test_of_a_domain_nothing_but_blanks_and_a_last_dot_is_taken_away():
    assert [read_domain(text) for text in (" Three.EXAMPLEX.", ".x.example", "x..")] == [
        "three.examplex",
        ".x.example",
        "x",
    ]


def test_the_free_mail_list_is_written_the_way_domains_are_compared():
    assert {domain for domain in FREE_MAIL if domain != domain.strip().lower() or "." not in domain} == set()
