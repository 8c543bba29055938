"""The synchronous client is made from the asynchronous one, and from nothing else."""

from make_sync import SOURCE, TARGET, made

from servitize_client import AsyncClient, Client


def test_it_is_what_the_asynchronous_one_makes() -> None:
    assert TARGET.read_text(encoding="utf-8") == made(SOURCE.read_text(encoding="utf-8")), "make sync"


def test_both_have_the_same_operations() -> None:
    assert [name for name in vars(Client) if name[0] != "_"] == [name for name in vars(AsyncClient) if name[0] != "_"]
