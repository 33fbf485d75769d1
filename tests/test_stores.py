"""What a config's `store` means."""

import stat

from fakes import FakeClock, LineKeeper

from proxy.config import from_mapping
from proxy.core.types import Entry
from proxy.store.memory import Memory
from proxy.store.tiers import Tiers
from proxy.stores import scope_of, stores_of


def made(store, upstream="http://a"):
    config = from_mapping({"upstream": "http://a", "store": store}, {})
    return stores_of(config, upstream, FakeClock(), LineKeeper().failed)


async def test_off_is_memory_only():
    stores = made({"disk": "off"})
    assert isinstance(stores.store, Memory)
    assert (stores.shared, stores.wire, stores.warning) == (None, None, "")


async def test_auto_is_a_file_per_upstream_in_the_state_folder_for_its_owner_only(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for upstream in ("http://a", "http://b"):
        stores = made({}, upstream)
        assert isinstance(stores.store, Tiers)
        await stores.store.get_many([b"k" * 20])
        await stores.store.close()
    files = [file for file in (tmp_path / "frontrunner").iterdir() if file.suffix == ".sqlite"]
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_path_is_that_file(tmp_path):
    stores = made({"disk": str(tmp_path / "here" / "kept.sqlite")})
    await stores.store.get_many([b"k" * 20])
    await stores.store.close()
    assert (tmp_path / "here" / "kept.sqlite").exists()


async def test_a_place_that_is_no_folder_is_one_warning(tmp_path):
    (tmp_path / "file").write_text("")
    stores = made({"disk": str(tmp_path / "file" / "kept.sqlite")})
    assert isinstance(stores.store, Memory)
    assert "only in memory" in stores.warning


async def test_aiocache_is_a_hit_tier_without_turns(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    stores = made({"aiocache": "aiocache:SimpleMemoryCache"})
    assert isinstance(stores.store, Tiers)
    assert stores.shared is None
    await stores.store.close()


def test_the_namespace_and_the_upstream_tell_proxies_apart():
    one, other = (from_mapping({"upstream": "http://a", "store": {"namespace": name}}, {}) for name in ("x", "y"))
    assert len({scope_of(one, "http://a"), scope_of(one, "http://b"), scope_of(other, "http://a")}) == 3


async def test_who_lets_go_for_space_is_told_by_store(tmp_path):
    for store, evicts in (
        ({"disk": "off", "memory": "10KiB"}, {"memory": True}),
        ({"disk": str(tmp_path / "kept"), "memory": "10KiB"}, {"memory": True, "disk": False}),
    ):
        stores = made(store)
        await stores.store.set_many(
            {bytes([n]) * 20: Entry(200, (), bytes(3000), 1_000_000_000.0, 60.0, rule="a") for n in range(9)}
        )
        assert {name: count > 0 for name, count in stores.evictions().items()} == evicts
        assert list(stores.evictions()) == [one.name for one in stores.held()]
        await stores.store.close()


async def test_what_is_wrong_with_the_file_is_told_at_the_start(tmp_path):
    stores = made({"disk": str(tmp_path)})
    assert "cannot be used now" in await stores.opened()
    await stores.store.close()
    well = made({"disk": str(tmp_path / "kept.sqlite")})
    assert await well.opened() == ""
    await well.store.close()
    assert await made({"disk": "off"}).opened() == ""


async def test_what_one_rule_holds_is_not_told_where_other_processes_write_untold(tmp_path):
    for store, known in (({"disk": "off"}, {}), ({"disk": str(tmp_path / "kept")}, {}), ({"redis": "redis://a"}, None)):
        stores = made(store)
        assert stores.by_rule() == known
        assert stores.held()[-1].entries == stores.store.status().entries
        await stores.store.close()
