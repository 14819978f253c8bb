"""PyMongo as an app uses it: `mongo_client.py URI TASK...`; an error goes to standard error, and ends it with 1.

    user NAME PASSWORD MECHANISM...   makes a user
    work NAME                         a collection's life, with a pool and its monitor
    once                              one document
    stay                              one document for each line of standard input, or why not, and how soon
"""

import sys
import threading
import time

import pymongo
from pymongo.errors import DuplicateKeyError, PyMongoError

DOCUMENTS, THREADS = 1000, 8
# Near the 16 MiB that a document may have.
BIG = "b" * (15 << 20)


def main():
    uri, task, *words = sys.argv[1:]
    client = pymongo.MongoClient(uri, maxPoolSize=THREADS)
    try:
        {"user": make_user, "work": work, "once": once, "stay": stay}[task](client, *words)
    except PyMongoError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def make_user(client, name, password, *mechanisms):
    more = {"mechanisms": list(mechanisms)} if mechanisms else {}
    client.admin.command("createUser", name, pwd=password, roles=[], **more)


def work(client, user):
    users = client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
    assert [it["user"] for it in users] == [user], users
    things = client.shop.things
    things.drop()
    things.insert_many([{"_id": number, "text": "x" * 50} for number in range(DOCUMENTS)])
    assert sum(1 for _ in things.find().batch_size(100)) == DOCUMENTS
    assert things.update_many({"_id": {"$lt": 10}}, {"$set": {"text": "changed"}}).matched_count == 10
    assert things.count_documents({"text": "changed"}) == 10
    client.shop.big.drop()
    client.shop.big.insert_one({"_id": 1, "text": BIG})
    assert client.shop.big.find_one()["text"] == BIG
    try:
        things.insert_one({"_id": 1})
        raise AssertionError("the same key twice")
    except DuplicateKeyError:
        pass
    with client.start_session() as session:
        assert things.find_one({"_id": 5}, session=session)
    crowd(things)


def crowd(things):
    """As many at once as the pool has connections."""
    errors = []

    def ask():
        try:
            for number in range(20):
                assert things.find_one({"_id": number})
        except (PyMongoError, AssertionError) as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def once(client):
    print(client.shop.things.find_one({"_id": 5}, comment="seen in the record")["text"])


def stay(client):
    for _ in sys.stdin:
        started = time.monotonic()
        try:
            said = client.shop.things.find_one({"_id": 5})["text"]
        except PyMongoError as error:
            said = f"{type(error).__name__}: {error}"
        print(f"{time.monotonic() - started:.1f} {said}", flush=True)


if __name__ == "__main__":
    main()
