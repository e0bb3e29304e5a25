from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial

import pytest

from connectors.salesforce.sandbox import Clock, Field, Org, load_csv, load_org, open_org, save_org
from connectors.salesforce.sandbox.errors import ApiError


def test_a_record_gets_an_id_stamps_and_an_owner(org):
    account = org.create("Account", {"Name": "A"})

    record = org.record("Account", account)
    assert account.startswith("001")
    assert record["SystemModstamp"] == record["CreatedDate"] == "2026-03-01T12:00:00.000+0000"
    assert record["OwnerId"] == org.user_id
    assert record["IsDeleted"] is False


def test_python_values_are_kept_exactly(org):
    deal = org.create(
        "Opportunity",
        {"Name": "d", "Amount": Decimal("0.10"), "CloseDate": date(2026, 1, 2), "StageName": "Closed Won"},
    )

    record = org.record("Opportunity", deal)
    assert record["Amount"] == Decimal("0.10")
    assert record["CloseDate"] == "2026-01-02"
    assert record["IsWon"] is True
    assert record["Probability"] == 100


def test_an_update_moves_the_stamp_and_keeps_the_creation(org, clock):
    account = org.create("Account", {"Name": "A"})
    clock.advance(5)

    org.update("Account", account, {"Website": "a.example"})

    record = org.record("Account", account)
    assert record["SystemModstamp"] == "2026-03-01T12:00:05.000+0000"
    assert record["CreatedDate"] == "2026-03-01T12:00:00.000+0000"


def test_a_touch_moves_system_modstamp_alone(org, clock):
    account = org.create("Account", {"Name": "A"})
    clock.advance(60)

    org.touch("Account", account)

    record = org.record("Account", account)
    assert record["SystemModstamp"] == "2026-03-01T12:01:00.000+0000"
    assert record["LastModifiedDate"] == "2026-03-01T12:00:00.000+0000"


def test_a_formula_changes_without_any_stamp(org, clock):
    account = org.create("Account", {"Name": "A"})
    factor = [Decimal(1)]
    org.add_formula("Account", "Health__c", lambda _: factor[0])
    before = org.record("Account", account)
    clock.advance(60)

    factor[0] = Decimal(2)

    after = org.record("Account", account)
    assert (before["Health__c"], after["Health__c"]) == (1, 2)
    assert before["SystemModstamp"] == after["SystemModstamp"]


def test_a_late_commit_shows_up_below_what_was_read_meanwhile(org, clock):
    account = org.create("Account", {"Name": "A"})
    clock.advance(10)
    held = org.late_update("Account", account, {"Name": "B"})
    clock.advance(10)
    other = org.create("Account", {"Name": "C"})
    assert org.record("Account", account)["Name"] == "A"

    held.commit()

    assert org.record("Account", account)["Name"] == "B"
    assert org.record("Account", account)["SystemModstamp"] < org.record("Account", other)["SystemModstamp"]
    assert org.open_commits == []


def test_a_late_commit_does_not_undo_what_others_wrote_meanwhile(org):
    account = org.create("Account", {"Name": "A", "Website": "old.example"})
    held = org.late_update("Account", account, {"Name": "B"})
    org.update("Account", account, {"Website": "new.example"})

    held.commit()

    assert org.record("Account", account)["Website"] == "new.example"


def test_a_late_new_record_is_invisible_until_its_commit(org):
    held = org.late_create("Account", {"Name": "A"})
    assert org.count("Account") == 0

    held.commit()

    assert org.count("Account") == 1


def test_deleting_an_account_takes_its_opportunities_along_and_undeleting_brings_them_back(org, clock):
    account = org.create("Account", {"Name": "A"})
    deal = org.create("Opportunity", {"Name": "d", "AccountId": account, "StageName": "Prospecting"})
    clock.advance(1)

    org.delete("Account", account)

    assert org.record("Opportunity", deal)["IsDeleted"] is True
    assert org.record("Opportunity", deal)["SystemModstamp"] == "2026-03-01T12:00:01.000+0000"

    org.undelete("Account", account)

    assert org.record("Opportunity", deal)["IsDeleted"] is False
    assert org.deletions == {}


def test_a_purge_leaves_nothing(org):
    account = org.create("Account", {"Name": "A"})

    org.purge("Account", account)

    with pytest.raises(KeyError):
        org.record("Account", account)


def test_a_merge_marks_the_losers_and_moves_their_children(org, clock):
    winner, loser = (org.create("Account", {"Name": name}) for name in "AB")
    deal = org.create("Opportunity", {"Name": "d", "AccountId": loser, "StageName": "Prospecting"})
    child = org.create("Account", {"Name": "C", "ParentId": loser})
    clock.advance(1)

    org.merge("Account", winner, loser)

    gone = org.record("Account", loser)
    assert (gone["IsDeleted"], gone["MasterRecordId"]) == (True, winner)
    assert org.record("Opportunity", deal)["AccountId"] == winner
    assert org.record("Opportunity", deal)["SystemModstamp"] == "2026-03-01T12:00:01.000+0000"
    assert org.record("Account", child)["ParentId"] == winner


def test_a_winner_below_its_loser_does_not_become_its_own_parent(org):
    loser = org.create("Account", {"Name": "B"})
    winner = org.create("Account", {"Name": "A", "ParentId": loser})

    org.merge("Account", winner, loser)

    assert org.record("Account", winner)["ParentId"] is None


def test_a_merge_takes_at_most_two_losers(org):
    winner, *losers = (org.create("Account", {"Name": name}) for name in "ABCD")

    with pytest.raises(ApiError):
        org.merge("Account", winner, *losers)


def test_a_person_account_is_named_by_its_person():
    org = Org(person_accounts=True)

    person = org.create("Account", {"FirstName": "Ada", "LastName": "Byron"})
    business = org.create("Account", {"Name": "Engines"})

    assert org.record("Account", person)["Name"] == "Ada Byron"
    assert org.record("Account", person)["IsPersonAccount"] is True
    assert org.record("Account", business)["IsPersonAccount"] is False


def test_a_contact_stands_behind_a_person_account_and_follows_it():
    org = Org(person_accounts=True)
    person = org.create("Account", {"FirstName": "Ada", "LastName": "Byron", "PersonEmail": "ada@example.com"})
    contact = org.record("Account", person)["PersonContactId"]

    org.update("Account", person, {"LastName": "Lovelace"})

    shown = org.record("Contact", contact)
    assert (shown["Name"], shown["Email"], shown["AccountId"], shown["IsPersonAccount"]) == (
        "Ada Lovelace",
        "ada@example.com",
        person,
        True,
    )
    org.delete("Account", person)
    assert org.record("Contact", contact)["IsDeleted"] is True
    org.undelete("Account", person)
    assert org.record("Contact", contact)["IsDeleted"] is False


@pytest.mark.parametrize(
    ("target", "values", "field"),
    [
        ("person", {"Name": "Another"}, "Name"),
        ("business", {"LastName": "Byron"}, "LastName"),
        (None, {"Name": "Both", "LastName": "Byron"}, "Name"),
        (None, {"Name": "Engines", "FirstName": "Ada"}, "FirstName"),
    ],
)
def test_a_person_has_no_name_to_write_and_a_business_none_of_a_persons(target, values, field):
    org = Org(person_accounts=True)
    ids = {
        "person": org.create("Account", {"FirstName": "Ada", "LastName": "Byron"}, user=org.user_id),
        "business": org.create("Account", {"Name": "Engines"}, user=org.user_id),
    }

    write = partial(org.update, "Account", ids[target]) if target else partial(org.create, "Account")
    with pytest.raises(ApiError) as caught:
        write(values, user=org.user_id)

    assert (caught.value.code, caught.value.fields) == ("INVALID_FIELD_FOR_INSERT_UPDATE", (field,))
    assert caught.value.message == f"Account: bad field names on insert/update call: {field}"


def test_merging_person_accounts_merges_the_contacts_behind_them():
    org = Org(person_accounts=True)
    winner, loser = (org.create("Account", {"LastName": name}) for name in ("Byron", "Lovelace"))
    business = org.create("Account", {"Name": "Engines"})
    kept, gone = (org.record("Account", one)["PersonContactId"] for one in (winner, loser))
    deal = org.create("Opportunity", {"Name": "D", "AccountId": loser, "StageName": "Prospecting"})
    role = org.create("OpportunityContactRole", {"OpportunityId": deal, "ContactId": gone})

    org.merge("Account", winner, loser)

    assert org.record("Contact", gone)["MasterRecordId"] == kept
    assert org.record("OpportunityContactRole", role)["ContactId"] == kept
    with pytest.raises(ApiError, match="person account"):
        org.merge("Account", winner, business)


def test_a_multi_currency_org_has_rates_and_a_currency_on_every_record():
    org = Org(multi_currency=True)

    account = org.create("Account", {"Name": "A"})

    assert org.record("Account", account)["CurrencyIsoCode"] == "USD"
    assert [rate["IsoCode"] for rate in org.records("CurrencyType")] == ["USD"]


def test_a_new_currency_may_be_used_and_rates_end_where_the_next_begins():
    org = Org(multi_currency=True)
    org.create("CurrencyType", {"IsoCode": "EUR", "ConversionRate": "0.9"})
    for start in ("2026-01-01", "2025-01-01"):
        org.create("DatedConversionRate", {"IsoCode": "EUR", "StartDate": start, "ConversionRate": "0.9"})

    account = org.create("Account", {"Name": "A"}, user=org.user_id)
    org.update("Account", account, {"CurrencyIsoCode": "EUR"}, user=org.user_id)

    with pytest.raises(ApiError, match="restricted picklist"):
        org.update("Account", account, {"CurrencyIsoCode": "XXX"}, user=org.user_id)
    ends = {rate["StartDate"]: rate["NextStartDate"] for rate in org.records("DatedConversionRate")}
    assert ends == {"2025-01-01": "2026-01-01", "2026-01-01": "9999-12-31"}


def test_a_rolled_back_transaction_leaves_no_trace(org):
    kept = org.create("Account", {"Name": "kept"})
    told = []
    org.watchers.append(lambda *change: told.append(change))

    with org.transaction() as transaction:
        org.create("Account", {"Name": "new"})
        org.update("Account", kept, {"Name": "changed"})
        org.delete("Account", kept)
        transaction.roll_back()

    assert [record["Name"] for record in org.records("Account")] == ["kept"]
    assert org.deletions == {}
    assert told == []


def test_an_error_inside_a_transaction_rolls_it_back(org):
    def write_and_fail():
        with org.transaction():
            org.create("Account", {"Name": "new"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()

    assert org.count("Account") == 0


class TestLoading:
    def write(self, folder, name, text):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")

    def test_headers_are_field_names_and_missing_ones_are_fine(self, org, tmp_path):
        self.write(tmp_path, "Account", "Id,Name\n001Tt0000000001IAA,A\n")
        self.write(
            tmp_path,
            "Opportunity",
            "Name,AccountId,StageName,Amount,CloseDate\nd,001Tt0000000001IAA,Closed Won,10,2026-01-01\n",
        )

        loaded = load_csv(org, tmp_path)

        assert loaded.counts == {"Account": 1, "Opportunity": 1}
        (deal,) = org.records("Opportunity")
        assert deal["IsWon"] is True
        assert deal["Amount"] == 10
        assert deal["Id"].startswith("006")

    def test_missing_stamps_end_now_and_tie_in_groups(self, org, tmp_path):
        self.write(tmp_path, "Account", "Name\n" + "\n".join(f"a{n}" for n in range(12)) + "\n")

        load_csv(org, tmp_path)

        stamps = [record["SystemModstamp"] for record in org.records("Account")]
        assert stamps == sorted(stamps)
        assert stamps[-1] == org.clock.stamp()
        assert [stamps.count(stamp) for stamp in sorted(set(stamps))] == [5, 5, 2]

    def test_given_stamps_stay(self, org, tmp_path):
        self.write(tmp_path, "Account", "Name,SystemModstamp\nA,2020-01-02T03:04:05.000+0000\n")

        load_csv(org, tmp_path)

        assert next(org.records("Account"))["SystemModstamp"] == "2020-01-02T03:04:05.000+0000"

    def test_unknown_columns_are_named_and_custom_ones_become_text(self, org, tmp_path):
        self.write(tmp_path, "Account", "Name,Colour,Region__c\nA,red,007\n")

        loaded = load_csv(org, tmp_path)

        assert loaded.skipped == ["Account.Colour"]
        assert next(org.records("Account"))["Region__c"] == "007"

    def test_owner_names_become_users(self, org, tmp_path):
        self.write(tmp_path, "Account", "Name,OwnerName\nA,Ada Byron\nB,Ada Byron\n")

        load_csv(org, tmp_path)

        owners = {record["OwnerId"] for record in org.records("Account")}
        assert [org.record("User", owner)["Name"] for owner in owners] == ["Ada Byron"]

    def test_unknown_stages_take_their_meaning_from_the_file(self, org, tmp_path):
        self.write(tmp_path, "Opportunity", "Name,StageName,IsWon,IsClosed\nd,Gewonnen,true,true\n")

        load_csv(org, tmp_path)

        assert org.stages["Gewonnen"] == (True, True, 100)

    def test_a_bad_cell_is_named_by_file_and_line(self, org, tmp_path):
        self.write(tmp_path, "Account", "Name,AnnualRevenue\nA,1\nB,much\n")

        with pytest.raises(ValueError, match=r"Account\.csv:3: not a number"):
            load_csv(org, tmp_path)

    def test_quotes_newlines_and_a_byte_order_mark_survive(self, org, tmp_path):
        self.write(tmp_path, "Account", '\ufeffName,Description\n"A ""x"", y","one\ntwo 😀"\n')

        load_csv(org, tmp_path)

        (account,) = org.records("Account")
        assert (account["Name"], account["Description"]) == ('A "x", y', "one\ntwo 😀")


class TestStateFile:
    def test_a_saved_org_comes_back_the_same(self, tmp_path):
        org = Org(multi_currency=True, clock=Clock())
        account = org.create("Account", {"Name": "A\nB", "AnnualRevenue": 5})
        org.create("Opportunity", {"Name": "d", "AccountId": account, "Amount": "0.1", "StageName": "Closed Won"})
        org.delete("Account", org.create("Account", {"Name": "gone"}))
        org.add_field("Account", Field("Key__c", external_id=True, unique=True, open=False))
        org.hide_field("Account", "Website")
        org.refuse(account, fields=("Name",))

        save_org(org, tmp_path / "org.state")
        again = load_org(tmp_path / "org.state")

        for name in org.tables:
            assert list(again.records(name, deleted=True)) == list(org.records(name, deleted=True))
        assert again.access == org.access
        assert again.deletions == org.deletions
        assert again.refusals == org.refusals
        assert (again.organization_id, again.user_id, again.client_secret) == (
            org.organization_id,
            org.user_id,
            org.client_secret,
        )
        assert again.tables["Account"].type.fields["Key__c"].open is False

    def test_a_reopened_org_goes_on_with_new_ids(self, org, tmp_path):
        first = org.create("Account", {"Name": "A"})
        save_org(org, tmp_path / "org.state")

        second = load_org(tmp_path / "org.state").create("Account", {"Name": "B"})

        assert second != first

    def test_a_clock_that_was_moved_stays_moved(self, org, clock, tmp_path):
        clock.advance(3600)
        save_org(org, tmp_path / "org.state")

        assert load_org(tmp_path / "org.state").clock.now() == clock.now()

    def test_the_file_is_replaced_as_a_whole(self, org, tmp_path):
        path = tmp_path / "deep" / "org.state"
        save_org(org, path)
        save_org(org, path)

        assert [one.name for one in path.parent.iterdir()] == ["org.state"]

    @pytest.mark.parametrize("text", ["", "not json\n", "[1]\n", '{"format": 99}\n'])
    def test_another_file_is_refused(self, tmp_path, text):
        path = tmp_path / "other"
        path.write_text(text)

        with pytest.raises(ValueError, match="not the state file"):
            load_org(path)

    def test_a_folder_with_currencies_makes_an_org_with_currencies(self, tmp_path):
        (tmp_path / "CurrencyType.csv").write_text("IsoCode,ConversionRate,IsCorporate\nEUR,1,true\nUSD,1.1,false\n")
        (tmp_path / "Account.csv").write_text("Name,CurrencyIsoCode\nA,USD\nB,\n")

        org = open_org(data_dir=tmp_path)

        org.create("Account", {"Name": "C"})
        assert {one["Name"]: one["CurrencyIsoCode"] for one in org.records("Account")} == {
            "A": "USD",
            "B": "EUR",
            "C": "EUR",
        }
        assert org.tables["Account"].type.fields["CurrencyIsoCode"].values == ("EUR", "USD")

    def test_an_org_is_opened_from_its_state_or_else_from_data(self, tmp_path):
        (tmp_path / "Account.csv").write_text("Name\nA\n")
        state = tmp_path / "org.state"

        first = open_org(state, tmp_path)
        first.create("Account", {"Name": "B"})
        save_org(first, state)

        assert [record["Name"] for record in open_org(state, tmp_path).records("Account")] == ["A", "B"]
