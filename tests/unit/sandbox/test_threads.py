from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


def test_many_clients_at_once_lose_nothing(connect, sandbox, org):
    def work(number):
        client = connect()
        made = client.post("sobjects/Account", {"Name": f"a{number}"}).json()["id"]
        client.update_many({"Id": made, "Website": f"{number}.example"})
        assert client.patch(f"sobjects/Account/{made}", {"Phone": str(number)}).status_code == 204
        return client.soql(f"SELECT Website, Phone FROM Account WHERE Id = '{made}'").json()["records"][0]

    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(work, range(40)))

    assert [(record["Website"], record["Phone"]) for record in records] == [(f"{n}.example", str(n)) for n in range(40)]
    assert org.count("Account") == 40
    assert sandbox.engine.api_used == 160
    assert sandbox.engine.running == 0
