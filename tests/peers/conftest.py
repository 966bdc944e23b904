"""One provider and one loaded server for the session; tests that break things get their own."""

import pytest
from house import BINARY, House, document
from provider import Provider

PEOPLE = {
    "alice": {"department": "engineering", "user_clearance": "TopSecret", "projects": ["phoenix", "atlas"]},
    "bob": {"department": "sales", "user_clearance": "Internal", "projects": ["harbor"]},
    "carol": {"department": ["sales", "finance"], "user_clearance": 3, "projects": []},
    "dave": {},
    "admin": {"department": "engineering", "user_clearance": "Public", "roles": ["bailiwick-admin"]},
}
# People whose claims must open nothing, although a careless reader would find something in them.
CLAIMS_THAT_OPEN_NOTHING = {
    "null-department": {"department": None, "user_clearance": "TopSecret"},
    "empty-department": {"department": "", "user_clearance": "TopSecret"},
    "no-department": {"department": [], "user_clearance": "TopSecret"},
    "object-department": {"department": {"engineering": True}, "user_clearance": "TopSecret"},
    "star": {"department": "*", "user_clearance": "TopSecret"},
    "percent": {"department": "%", "user_clearance": "TopSecret"},
    "quote": {"department": 'sales" OR 1=1', "user_clearance": "TopSecret"},
    "mongo": {"department": {"$ne": ""}, "user_clearance": "TopSecret"},
    "nested": {"department": ["engineering", ["sales"]], "user_clearance": "TopSecret"},
    "mixed": {"department": ["engineering", None, 5], "user_clearance": "TopSecret"},
    "upper-case": {"department": "Engineering", "user_clearance": "TopSecret"},
    "trailing-space": {"department": "engineering ", "user_clearance": "TopSecret"},
    "homoglyph": {"department": "еngineering", "user_clearance": "TopSecret"},
    "crowd": {"department": ["engineering"] + [f"d{n}" for n in range(300)], "user_clearance": "TopSecret"},
    "no-clearance": {"department": "engineering"},
    "true-clearance": {"department": "engineering", "user_clearance": True},
    "unknown-clearance": {"department": "engineering", "user_clearance": "Cosmic"},
    "full-width-clearance": {"department": "engineering", "user_clearance": "３"},
    "hex-clearance": {"department": "engineering", "user_clearance": "0x3"},
    "half-clearance": {"department": "engineering", "user_clearance": 3.5},
    "negative-clearance": {"department": "engineering", "user_clearance": -1},
    "high-clearance": {"department": "engineering", "user_clearance": 9},
    "overage": {
        "_claim_names": {"department": "src1"},
        "hasgroups": True,
        "user_clearance": "TopSecret",
    },
}

LIBRARY = [
    document("eng-phoenix", "Project Phoenix replaces the billing engine. Its launch date is 14 March.", "engineering", "Secret", "phoenix"),
    document("eng-atlas", "Project Atlas maps the data centres. The launch depends on the network team.", "engineering", "Internal", "atlas"),
    document("eng-zephyr", "Project Zephyr is a satellite link. Its launch date is a secret of the board.", "engineering", "TopSecret", "zephyr"),
    document("eng-handbook", "Engineers review each other's code before launch. Two approvals are needed.", "engineering", "Public"),
    document("sales-q3", "The Q3 sales report shows a revenue of 3.9M USD. The launch of Harbor helped.", "sales", "Internal", "harbor"),
    document("sales-q2", "The Q2 revenue target is 4.2M USD. The target was set before the launch.", "sales", "Restricted"),
    document("sales-list", "The price list is valid from the launch until the end of the year.", "sales", "Public"),
    document("fin-budget", "The finance budget keeps 1.1M USD for the launch of new products.", "finance", "Restricted"),
    document("fin-audit", "The auditors found the launch expenses in order.", "finance", "Secret"),
    document("hr-leave", "People may take thirty days of leave a year, also around a launch.", "people", "Public"),
]
MAY_READ = {
    "alice": {"eng-phoenix", "eng-atlas", "eng-handbook"},
    "bob": {"sales-q3", "sales-list"},
    "carol": {"sales-q2", "sales-list", "fin-budget"},
    "dave": set(),
    "admin": {"eng-handbook"},
}


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"there is no {BINARY}: build it, or name it in BAILIWICK_BIN", returncode=2)


@pytest.fixture(scope="session")
def provider(tmp_path_factory):
    provider = Provider(PEOPLE | CLAIMS_THAT_OPEN_NOTHING, tmp_path_factory.mktemp("provider"))
    yield provider
    provider.stop()


@pytest.fixture
def own_provider(tmp_path):
    provider = Provider(PEOPLE, tmp_path)
    yield provider
    provider.stop()


@pytest.fixture(scope="session")
def token(provider):
    """The access token of a person, each signed in once."""
    known = {}

    def of(person: str) -> str:
        if person not in known:
            known[person] = provider.sign_in(person).access
        return known[person]

    return of


@pytest.fixture
def new_house(tmp_path):
    """Makes houses; whatever runs at the test's end is stopped."""
    houses = []

    def make(issuer: str) -> House:
        houses.append(House(tmp_path / f"house-{len(houses)}", issuer))
        return houses[-1]

    yield make
    for house in houses:
        if house.process:
            house.stop()


@pytest.fixture(scope="session")
def house(provider, tmp_path_factory):
    """The server that most tests share. It holds LIBRARY, and tests leave LIBRARY as it is."""
    house = House(tmp_path_factory.mktemp("house"), provider.issuer).start()
    house.client_id = house.agent("pipeline", "read:records", "read:metrics", "write:documents")
    house.pipeline = house.agent_token(house.client_id)
    house.store(house.pipeline, LIBRARY).raise_for_status()
    yield house
    house.stop()
