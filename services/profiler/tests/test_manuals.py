# SPDX-License-Identifier: Apache-2.0
"""Pages of programs' manuals: what they say goes before what a flag's name says."""

import shlex
from importlib.resources import files

import pytest

from habitus_profiler import forms, manuals
from habitus_profiler.forms import form_of
from habitus_profiler.leaf import Leaf

PAGE = """
[pgcopy]
also = "pgcopy.real"
same = "-h --host, -U --username, -q --quiet"
mild = "--quiet --exec-label --purge"
data = "--file"
hosts = "--host"
code = "--codec"
grave = "--raw --mode=open -w key=on"
asks = "inspect"
daily = "delete"
acts = "drain"

["pgcopy restore"]
also = "load"
grave = "--quiet"
mild = "--raw"
names = true
"""


@pytest.fixture
def page(monkeypatch):
    """Only the page above is known, and no form of before."""
    forget()
    found = manuals.read("test.toml", PAGE)
    by_name = {name: found.get(name, manuals.BLANK) for name in [*found, "pgcopy-16"]}
    by_name["pgcopy-16"] = found["pgcopy"]
    monkeypatch.setattr(manuals, "page", lambda program: by_name.get(program, manuals.BLANK))
    yield
    forget()


def forget():
    """Forget every form that was read."""
    forms._remembered.cache_clear()
    forms._by_shape.cache_clear()


@pytest.fixture
def every_page():
    """The pages of the package are known, and no form of before."""
    forget()


def slots(*words, program="pgcopy"):
    """Return the slots of a command line; no reading of another one is remembered."""
    forget()
    return {f"{slot.kind}:{slot.value}" for slot in form_of((program, *words)).slots}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-U", "bob"], {"tuned:--username", "who:bob"}),
        (["--username", "bob"], {"tuned:--username", "who:bob"}),
        (["-q"], {"tuned:--quiet"}),
        (["--exec-label", "nightly"], {"tuned:--exec-label"}),
        (["--exec-label=drop"], {"tuned:--exec-label", "word:drop"}),
        (["--purge"], {"tuned:--purge"}),
        (["--host", "db7"], {"tuned:--host", "remote:db7"}),
        (["-h", "db7"], {"tuned:--host", "remote:db7"}),
        (["--file", "/data/in/x.csv"], {"tuned:--file"}),
        (["--file=/data/in/x.csv"], {"tuned:--file"}),
        (["--file", "/tmp/x.csv"], {"tuned:--file", "path:/tmp", "scratch:--file"}),
        (["--file", "/etc/shadow"], {"tuned:--file", "path:/etc/shadow", "word:shadow"}),
        (["--file", "/data/x.sh"], {"tuned:--file", "path:/data/*.sh"}),
        (["--codec", "fast"], {"tuned:--codec", "load:fast"}),
        (["--raw"], {"flag:--raw", "switch:--raw"}),
        (["--mode", "open"], {"tuned:--mode", "switch:--mode=open"}),
        (["--mode=fast,open"], {"tuned:--mode", "switch:--mode=open"}),
        (["--mode=fast"], {"tuned:--mode"}),
        (["-o", "key=on"], {"tuned:key=", "tuned:-o", "switch:key=on"}),
        (["-o", "key=off"], {"tuned:key=", "tuned:-o"}),
        (["-qw"], {"tuned:-qw", "switch:-w"}),
        (["delete", "x"], set()),
        (["drain", "x"], {"word:drain"}),
        (["--exec-label", "drain"], {"tuned:--exec-label", "word:drain"}),
        (["--file", "drain"], {"tuned:--file"}),
        (["-q", "restore", "--raw"], {"tuned:--quiet", "tuned:--raw"}),
        (["restore", "--raw"], {"tuned:--raw"}),
        (["restore", "-q"], {"flag:--quiet", "switch:--quiet"}),
        (["load", "--quiet"], {"flag:--quiet", "switch:--quiet"}),
        (["restore", "bash"], set()),
        (["bash"], {"command:bash"}),
        (["restore", "drain"], {"word:drain"}),
    ],
)
def test_a_page_says_what_an_argument_is(page, words, expected):
    """Spellings of one flag are one; what is mild, data, code, grave or everyday is so in this one only."""
    assert slots(*words) == expected
    assert slots(*words, program="pgcopy.real") == expected
    assert slots(*words, program="pgcopy-16") == expected


def test_what_no_page_names_is_graded_by_its_name(page):
    """The words of the page mean nothing elsewhere."""
    assert slots("--purge", program="other") == {"flag:--purge"}
    assert slots("delete", program="other") == {"word:delete"}
    assert slots("--raw", program="other") == {"tuned:--raw"}


def test_within_a_shell_s_text_each_command_has_its_own_page(page):
    """What stands before and behind another command is still read by its own."""
    found = slots("-c", "pgcopy --raw && other --raw && pgcopy delete", program="sh")
    assert {"switch:--raw", "tuned:other --raw"} <= found
    assert "word:delete" not in found


def test_a_script_is_read_by_its_own_page(page):
    """By the stem of the file or module that an interpreter runs."""
    assert "switch:--raw" in slots("/opt/pgcopy.py", "--raw", program="python3")
    assert "switch:--raw" in slots("-m", "pgcopy.cli", "--raw", program="python3")


def test_a_question_and_daily_work_need_no_vector(page):
    """New words that the page calls so are none."""
    leaf = Leaf()
    leaf.learn("/usr/bin/pgcopy", form_of(("pgcopy", "--host", "db7")))
    for words in (["inspect", "delete", "--host", "db7"], ["delete", "inspect", "orders", "users"]):
        assert leaf.is_quiet(form_of(("pgcopy", *words))), words
    assert not leaf.is_quiet(form_of(("pgcopy", "wander", "over", "orders", "users")))


def test_a_profile_that_was_learned_without_the_page_knows_what_it_learned(page):
    """Flags in their other spelling, and what is grave now."""
    leaf = Leaf()
    leaf.forms["pgcopy -U bob --raw --mode=open restore --quiet drain"] = 1
    leaf.retell()
    told = set(map(tuple, leaf.slots.records()))
    assert {("flag", "--username"), ("switch", "--raw"), ("switch", "--mode=open")} <= told
    assert {("switch", "--quiet"), ("word", "drain")} <= told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[a\n", "x.toml: Expected"),
        ("a = 1", r"x\.toml: \[a\]: no table"),
        ("[a]\nmidl = 'x'", r"x\.toml: \[a\]: midl"),
        ("[a]\nmild = 7", r"x\.toml: \[a\]: mild"),
        ("['a b']\nmild = '--x'", r"x\.toml: \[a b\]: its program has no page"),
    ],
)
def test_a_page_that_cannot_be_read_is_refused_with_its_place(text, why):
    """File, page and key."""
    with pytest.raises(manuals.ManualFault, match=why):
        manuals.read("x.toml", text)


@pytest.fixture(scope="module")
def every():
    """Every page of the package, by its program."""
    folder = files("habitus_profiler") / "manuals"
    return {
        file.name: manuals.read(file.name, file.read_text("utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".page.toml")
    }


def test_every_page_can_be_read_and_found_by_each_of_its_names(every):
    """The index of names is made without reading the pages: it has all of them, each once."""
    assert len(every) > 1000
    names = [name for pages in every.values() for name in pages]
    assert len(names) == len(set(names)) > 3000
    assert {name: file.name for name, file in manuals.programs().items()} == {
        name: file for file, pages in every.items() for name in pages
    }


@pytest.fixture
def own(tmp_path):
    """A folder of pages of one's own, which are forgotten afterwards."""
    forget()
    yield tmp_path
    manuals._own.clear()
    manuals.programs.cache_clear()
    manuals.page.cache_clear()
    forget()


def test_a_page_of_one_s_own_goes_before_the_one_that_comes_along(own):
    """And is there for a program that has none."""
    (own / "psql.page.toml").write_text('[psql]\ngrave = "--quiet"\n')
    (own / "ours.page.toml").write_text('[ours]\nalso = "theirs"\nmild = "--drop-all"\n')
    assert slots("--drop-all", program="theirs") == {"flag:--drop-all"}
    assert manuals.add(own) == 3
    assert slots("--drop-all", program="theirs") == {"tuned:--drop-all"}
    assert "switch:--quiet" in slots("--quiet", program="psql")
    assert slots("--quiet", program="mysql") == {"tuned:--quiet"}


def test_a_page_of_one_s_own_may_be_written_as_toml_allows(own):
    """Other quotes, other names behind all else, two programs in one file: none is passed over."""
    (own / "ours.page.toml").write_text(
        """['ours']\nmild = '--drop-all'\nalso = 'theirs'\n[more]\nacts = 'drain'\n"""
    )
    assert manuals.add(own) == 3
    assert slots("--drop-all", program="theirs") == {"tuned:--drop-all"}
    assert slots("drain", program="more") == {"word:drain"}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.page.toml", "[a]\nmidl = 'x'", r"a\.page\.toml: \[a\]: midl"),
        ("a.page.toml", "[a]\nmild = '\xff'", r"codec can't decode"),
        ("b.page.toml", "[ours]\nmild = '--x'", r"ours\.page\.toml: \[ours\] has a page in b\.page\.toml"),
    ],
)
def test_a_folder_with_a_page_that_cannot_be_read_is_refused(own, name, text, why):
    """Nothing of it counts."""
    (own / "ours.page.toml").write_text("[ours]\nmild = '--drop-all'\n")
    (own / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(manuals.ManualFault, match=why):
        manuals.add(own)
    assert slots("--drop-all", program="ours") == {"flag:--drop-all"}


def test_a_folder_that_is_not_there_is_said(own):
    """In one line."""
    with pytest.raises(manuals.ManualFault, match="nowhere"):
        manuals.add(own / "nowhere")


def below(page):
    """Yield a page and those of its subcommands."""
    yield page
    for each in page.below.values():
        yield from below(each)


def test_no_page_contradicts_itself(every):
    """A flag is in one list, and no word both harms and does not."""
    lists = ("mild", "data", "hosts", "code", "grave")
    for file, pages in every.items():
        for page in (each for one in pages.values() for each in below(one)):
            flags = [flag for name in lists for flag in getattr(page, name)]
            twice = {flag for flag in flags if flags.count(flag) > 1}
            assert not twice, (file, twice)
            assert not page.acts & (page.asks | page.daily), file


@pytest.mark.parametrize("flag", ["--no-verify-ssl", "--insecure-skip-verify", "--disable-auth"])
def test_a_protection_that_is_off_is_never_harmless_by_a_page(flag):
    """Whatever it says: the name of the flag says more."""
    assert manuals.BLANK._replace(mild=frozenset({flag})).is_mild(flag) is None
    assert manuals.BLANK._replace(mild=frozenset({"--quiet"})).is_mild("--quiet")


@pytest.mark.parametrize(
    ("learned", "known", "news"),
    [
        ("psql --username app --dbname shop", "psql -U app -d shop -q", "psql -U app -d shop -c '\\! sh'"),
        ("kube-apiserver --authorization-mode=Node,RBAC", "kube-apiserver --authorization-mode=RBAC,Node",
         "kube-apiserver --authorization-mode=Node,AlwaysAllow"),
        ("iptables -t nat -A X -j ACCEPT", "iptables -t nat -A X -j ACCEPT --wait", "iptables -t filter -F"),
        ("apk add --no-cache curl", "apk add --no-cache bash", "apk add --no-cache hydra"),
        ("vault kv put kv/a x=1", "vault kv list kv", "vault kv get kv/a"),
        ("fluent-bit -c /etc/fluent-bit/a.conf -o es", "fluent-bit -c /etc/fluent-bit/a.conf -o es -v",
         "fluent-bit -c /etc/fluent-bit/a.conf -o null"),
    ],
)  # fmt: skip
def test_what_the_pages_of_well_known_programs_tell_apart(every_page, learned, known, news):
    """An honest variation and a grave one, neither of which was learned."""
    argv = {name: tuple(shlex.split(line)) for name, line in zip("lkn", (learned, known, news), strict=True)}
    leaf = Leaf()
    leaf.learn(f"/usr/bin/{argv['l'][0]}", form_of(argv["l"]))
    assert leaf.novelty(None, form_of(argv["k"])) is None
    assert leaf.novelty(None, form_of(argv["n"])) is not None
