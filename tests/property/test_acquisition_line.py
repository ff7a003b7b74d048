"""Any bytes in any chunks at any time: no exception, no reading that was not sent."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fake_bms_frames import live_words, read_reply, settings_words, version_words
from tinybms_acquisition.line import LineMachine
from tinybms_acquisition.poller import Poller
from tinybms_protocol.commands import ReadBlock
from tinybms_protocol.poll_plan import BlockName

LIVE = ReadBlock(0, 56)
GOOD = read_reply(live_words(current_a=-3.5))
STEPS = st.lists(
    st.tuples(
        st.floats(0, 0.4),
        st.one_of(
            st.just(b""),
            st.binary(max_size=40),
            st.sampled_from([GOOD, GOOD[:60], GOOD[60:], b"EXT1:----\r\n", b"\xaa\x00\x03\x01"]),
        ),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_the_poller_survives_anything_and_gives_only_what_was_sent(
    steps: list[tuple[float, bytes]],
) -> None:
    poller = Poller(0.1)
    now_s = 10.0
    poller.connect(now_s)
    for words in (version_words(), settings_words()):
        now_s += 0.01
        assert poller.step(now_s).output
        assert poller.receive(read_reply(words), now_s).blocks
    for delay_s, data in steps:
        now_s += delay_s
        blocks = [*poller.receive(data, now_s).blocks, *poller.step(now_s).blocks]
        for block in blocks:
            assert block.name is BlockName.LIVE
            assert block.words == live_words(current_a=-3.5)
            assert block.taken_s <= now_s
        due_s = poller.line.due_s
        assert due_s is None or due_s <= now_s + 1.4
        assert len(poller.line.frames) <= 50


@settings(max_examples=200, deadline=None)
@given(garbage=st.binary(max_size=300), cut=st.integers(1, len(GOOD) - 1))
def test_a_good_answer_behind_any_garbage_is_found(garbage: bytes, cut: int) -> None:
    machine = LineMachine()
    machine.ask(LIVE, 10.0)
    assert machine.advance(10.0)[0] == LIVE.encode()
    ended = machine.receive(garbage + GOOD[:cut], 10.01) or machine.receive(GOOD[cut:], 10.02)
    if ended is None:
        due_s = machine.due_s
        assert due_s is not None
        ended = machine.advance(due_s)[1]
    if ended is not None and ended.reply is not None:
        assert ended.reply.words == live_words(current_a=-3.5)
    elif b"\xaa\x00\x03" not in garbage:
        assert ended is not None
        assert ended.reply is not None
