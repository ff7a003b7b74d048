"""Requests are answered, refused or run out of time; nothing blocks and nothing stays behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tinybms_messages.requests import (
    Acked,
    CatchUp,
    CaughtUp,
    Claim,
    Reply,
    ReplyBody,
    Request,
    RequestBody,
    Result,
    encode_reply,
    encode_request,
)
from tinybms_runtime.clock import SystemClock
from tinybms_runtime.loop import Loop
from tinybms_runtime.requests import RequestClient, RequestRefused, RequestServer

CLOCK = SystemClock()


class Table:
    """A loop, an endpoint, and what was asked and answered."""

    def __init__(self, run_dir: Path) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.loop = Loop(CLOCK)
        self.endpoint = f"ipc://{run_dir}/ask-test"
        self.asked: list[RequestBody] = []
        self.replies: list[Reply] = []
        self.silences = 0
        self._peers: list[zmq.Socket[bytes]] = []

    def peer(self, kind: int) -> zmq.Socket[bytes]:
        """A bare socket, which can send what our own side never would."""
        peer: zmq.Socket[bytes] = self.context.socket(kind)
        self._peers.append(peer)
        return peer

    def server(self) -> RequestServer:
        return RequestServer(
            context=self.context,
            endpoint=self.endpoint,
            clock=CLOCK,
            loop=self.loop,
            answer=self.answer,
        )

    def client(self) -> RequestClient:
        return RequestClient(
            context=self.context, endpoint=self.endpoint, clock=CLOCK, loop=self.loop
        )

    def answer(self, body: RequestBody) -> ReplyBody:
        self.asked.append(body)
        if isinstance(body, Claim):
            raise RequestRefused("storing is off: the disk is full")
        return CaughtUp()

    def ask(self, client: RequestClient, body: RequestBody, timeout_s: float = 5.0) -> None:
        client.ask(
            body, timeout_s=timeout_s, on_reply=self.replies.append, on_silence=self._silence
        )

    def wait(self, client: RequestClient) -> None:
        assert self.loop.run_until(lambda: not client.busy, timeout_s=10.0)

    def close(self) -> None:
        self.loop.close()
        for peer in self._peers:
            peer.close(linger=0)
        self.context.destroy(linger=0)

    def _silence(self) -> None:
        self.silences += 1


@pytest.fixture
def table(run_dir: Path) -> Iterator[Table]:
    table = Table(run_dir)
    yield table
    table.close()


def test_a_request_is_answered(table: Table) -> None:
    server, client = table.server(), table.client()
    table.ask(client, CatchUp(boot="a1", ranges=((1, 3),)))
    assert client.busy
    table.wait(client)
    assert table.asked == [CatchUp(boot="a1", ranges=((1, 3),))]
    assert [reply.body for reply in table.replies] == [CaughtUp()]
    server.close()
    client.close()


def test_a_refusal_comes_with_its_reason(table: Table) -> None:
    server, client = table.server(), table.client()
    table.ask(client, Claim(claimer="b"))
    table.wait(client)
    assert [(reply.result, reply.text) for reply in table.replies] == [
        (Result.REFUSED, "storing is off: the disk is full")
    ]
    server.close()
    client.close()


def test_the_time_runs_out_when_nobody_is_there(table: Table) -> None:
    client = table.client()
    table.ask(client, CatchUp(), timeout_s=0.05)
    table.wait(client)
    assert (table.replies, table.silences, client.timeouts) == ([], 1, 1)
    client.close()


def test_what_timed_out_is_not_asked_again_when_the_answerer_comes(table: Table) -> None:
    client = table.client()
    table.ask(client, CatchUp(boot="lost"), timeout_s=0.05)
    table.wait(client)
    server = table.server()
    table.ask(client, CatchUp(boot="new"))
    table.wait(client)
    assert table.asked == [CatchUp(boot="new")]
    server.close()
    client.close()


def test_an_answerer_that_comes_later_is_found(table: Table) -> None:
    client = table.client()
    table.ask(client, CatchUp())
    server = table.server()
    table.wait(client)
    assert len(table.replies) == 1
    server.close()
    client.close()


def test_one_request_at_a_time(table: Table) -> None:
    client = table.client()
    table.ask(client, CatchUp())
    with pytest.raises(RuntimeError, match="awaited"):
        table.ask(client, CatchUp())
    client.close()
    assert not client.busy


def test_an_asker_may_ask_again_from_its_answer(table: Table) -> None:
    server, client = table.server(), table.client()
    again: list[Reply] = []

    def ask_again(_: Reply) -> None:
        client.ask(CatchUp(), timeout_s=5.0, on_reply=again.append, on_silence=lambda: None)

    client.ask(CatchUp(), timeout_s=5.0, on_reply=ask_again, on_silence=lambda: None)
    assert table.loop.run_until(lambda: bool(again), timeout_s=10.0)
    server.close()
    client.close()


@pytest.mark.parametrize(
    "request_",
    [
        Request(id="late", deadline_ns=1, kernel_boot_id=CLOCK.kernel_boot_id, body=CatchUp()),
        Request(id="else", deadline_ns=2**62, kernel_boot_id="another run", body=CatchUp()),
    ],
)
def test_who_waits_no_longer_gets_no_answer(table: Table, request_: Request) -> None:
    server = table.server()
    peer = table.peer(zmq.DEALER)
    peer.connect(table.endpoint)
    peer.send(encode_request(request_))
    assert table.loop.run_until(lambda: server.rejected == 1, timeout_s=10.0)
    assert table.asked == []
    server.close()


@pytest.mark.parametrize("frames", [[b"no request"], [b""], [b"one", b"two"]])
def test_frames_that_are_no_request_are_counted(table: Table, frames: list[bytes]) -> None:
    server, client = table.server(), table.client()
    peer = table.peer(zmq.DEALER)
    peer.connect(table.endpoint)
    peer.send_multipart(frames)
    assert table.loop.run_until(lambda: server.rejected == 1, timeout_s=10.0)
    table.ask(client, CatchUp())
    table.wait(client)
    assert len(table.replies) == 1
    server.close()
    client.close()


def test_an_answer_to_another_question_is_not_taken(table: Table) -> None:
    client = table.client()
    router = table.peer(zmq.ROUTER)
    router.bind(table.endpoint)
    table.ask(client, CatchUp(), timeout_s=0.3)
    peer = router.recv_multipart()[0]
    router.send_multipart([peer, b"noise"])
    strange = Reply(id="another", result=Result.OK, body=Acked())
    router.send_multipart([peer, encode_reply(strange)])
    table.wait(client)
    assert (table.replies, table.silences) == ([], 1)
    client.close()
