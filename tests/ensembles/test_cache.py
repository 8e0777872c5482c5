import os
import shutil
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles import UnknownPredictor, verify_checkpoint
from ensembles.members.cache import PredictionCache, PredictionKey, code_version, default_folder, fingerprint

KEY = PredictionKey("model", "code")
INPUTS = np.linspace(-1, 1, 2 * 1 * 5 * 7, dtype=np.float32).reshape(2, 1, 5, 7)


class Model:
    """Counts how often it is asked."""

    def __init__(self, factor=2.0, told=False):
        self.factor, self.told, self.runs = factor, told, 0

    def __call__(self, inputs):
        self.runs += 1
        values = inputs * np.float32(self.factor)
        return values, (values - 1 if self.told else None)


def ask(cache, model, inputs=INPUTS, key=KEY, **more):
    return cache.predict(key, inputs, model, **more)


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def command(code, *arguments, prefix=()):
    """A new process that runs code with `PredictionCache`, `PredictionKey`, `np` and its argument `folder` at hand."""
    start = "import sys, os, signal, warnings\nimport numpy as np\nfrom pathlib import Path\n"
    start += "from ensembles.members.cache import PredictionKey, PredictionCache\nfolder = Path(sys.argv[1])\n"
    return [*prefix, sys.executable, "-c", start + textwrap.dedent(code), *map(str, arguments)]


def in_a_new_process(code, *arguments, prefix=()):
    started = command(code, *arguments, prefix=prefix)
    return subprocess.run(started, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("told", [False, True])
def test_predictions_are_computed_once_and_come_back_as_they_were(tmp_path, told):
    model = Model(told=told)
    first, first_told = ask(PredictionCache(tmp_path), model)
    cache = PredictionCache(tmp_path)
    again, again_told = ask(cache, model)
    assert (model.runs, cache.hits, cache.misses) == (1, 1, 0)
    assert again.dtype == first.dtype
    np.testing.assert_array_equal(again, first)
    if told:
        np.testing.assert_array_equal(again_told, first_told)
    else:
        assert again_told is None


@given(
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.lists(st.integers(0, 3), min_size=0, max_size=4),
    st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_any_shape_and_precision_survives(tmp_path_factory, dtype, shape, transposed):
    folder = tmp_path_factory.mktemp("any")
    values = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)
    values = values.T if transposed else values
    results = [PredictionCache(folder).predict(KEY, INPUTS, lambda _: (values, None))[0] for _ in range(2)]
    for found in results:
        assert found.dtype == dtype
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    "other",
    [
        {"key": PredictionKey("another model", "code")},
        {"key": PredictionKey("model", "later code")},
        {"key": PredictionKey("model", "code", "flips")},
        {"key": PredictionKey(b"model", "code")},
        {"key": PredictionKey("mod", "elcode")},
        {"key": PredictionKey(("model", (("weights", "0f"),)), "code")},
        {"inputs": INPUTS + np.float32(1e-7)},
        {"inputs": INPUTS.astype(np.float64)},
        {"inputs": INPUTS.view(np.int32)},
        {"inputs": INPUTS.reshape(2, 1, 7, 5)},
        {"inputs": INPUTS[:1]},
        {"inputs": INPUTS[..., ::-1]},
    ],
)
def test_another_model_other_code_another_question_or_other_inputs_are_computed_anew(tmp_path, other):
    cache, model = PredictionCache(tmp_path), Model()
    ask(cache, model)
    arguments = {"key": KEY, "inputs": INPUTS} | other
    found, _ = ask(cache, model, **arguments)
    assert model.runs == 2
    np.testing.assert_array_equal(found, arguments["inputs"] * np.float32(2))


def test_the_layout_of_the_inputs_in_memory_does_not_matter(tmp_path):
    cache, model = PredictionCache(tmp_path), Model()
    ask(cache, model)
    ask(cache, model, inputs=np.asfortranarray(INPUTS))
    ask(cache, model, digest=fingerprint(INPUTS))
    assert model.runs == 1


def test_a_real_checkpoint_is_known_by_its_bytes_wherever_it_lies(tiny, tmp_path):
    identities = [
        verify_checkpoint(tiny.write_checkpoint(tmp_path / name, seed=seed)).identity
        for name, seed in (("one", 1), ("copy", 1), ("other", 2))
    ]
    cache, model = PredictionCache(tmp_path / "cache"), Model()
    for identity in identities:
        ask(cache, model, key=PredictionKey(identity, "code"))
    assert model.runs == 2


def test_what_a_caller_does_to_predictions_does_not_reach_the_cache(tmp_path):
    cache, model = PredictionCache(tmp_path), Model()
    for _ in range(3):
        found, _ = ask(cache, model)
        np.testing.assert_array_equal(found, INPUTS * 2)
        found += 1
    assert model.runs == 1


def test_a_build_that_was_killed_goes_on_where_it_stopped(tmp_path):
    code = """
    cache = PredictionCache(folder)
    for number in range(6):
        inputs = np.full((2, 3), number, np.float32)
        def compute(inputs):
            if number == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return inputs * 2, None
        cache.predict(PredictionKey("model", "code"), inputs, compute)
    """
    assert in_a_new_process(code, tmp_path).returncode == -9
    model = Model()
    for number in range(6):
        ask(PredictionCache(tmp_path), model, inputs=np.full((2, 3), number, np.float32))
    assert model.runs == 2


@pytest.mark.parametrize("damage", ["cut short", "empty", "one bit", "zeros", "longer", "another file"])
def test_a_damaged_file_is_computed_again_and_replaced(tmp_path, damage):
    cache, model = PredictionCache(tmp_path), Model(told=True)
    ask(cache, model)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 4
    damaged = {
        "cut short": whole[:-1],
        "empty": b"",
        "one bit": bytes(flipped),
        "zeros": bytes(len(whole)),
        "longer": whole + b"\0",
        "another file": b"PAR1" + whole,
    }
    file.write_bytes(damaged[damage])
    values, told = ask(cache, model)
    np.testing.assert_array_equal(values, INPUTS * 2)
    np.testing.assert_array_equal(told, INPUTS * 2 - 1)
    assert model.runs == 2
    assert file.read_bytes() == whole
    ask(cache, model)
    assert model.runs == 2


@pytest.mark.parametrize("position", range(0, 400, 7))
def test_no_bit_of_a_file_can_change_unnoticed(tmp_path, position):
    cache, model = PredictionCache(tmp_path), Model()
    ask(cache, model)
    (file,) = files(tmp_path)
    content = bytearray(file.read_bytes())
    content[position % len(content)] ^= 1 << position % 8
    file.write_bytes(content)
    ask(cache, model)
    assert model.runs == 2


@pytest.mark.parametrize(
    "bad", [np.array([1.0, np.nan]), np.array([np.inf, 1.0]), np.array([1, 2]), np.array(["a", None], dtype=object)]
)
def test_predictions_that_cannot_be_right_are_given_back_and_not_kept(tmp_path, bad):
    cache = PredictionCache(tmp_path)
    found, _ = cache.predict(KEY, INPUTS, lambda _: (bad, None))
    np.testing.assert_array_equal(found, bad)
    cache.predict(KEY, INPUTS, lambda _: (INPUTS, bad))
    model = Model()
    ask(cache, model)
    assert model.runs == 1


def test_an_error_of_the_model_is_raised_and_leaves_nothing_behind(tmp_path):
    def broken(inputs):
        raise OSError("no weights")

    with pytest.raises(OSError, match="no weights"):
        PredictionCache(tmp_path).predict(KEY, INPUTS, broken)
    assert files(tmp_path) == []


SMALL_DISK = """
cache = PredictionCache(folder)
runs = 0
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for number in range(int(sys.argv[2])):
        inputs = np.full((64, 64), number, np.float32)  # 16 KiB
        def compute(inputs):
            global runs
            runs += 1
            return inputs * 2, None
        found, _ = cache.predict(PredictionKey("model", "code"), inputs, compute)
        assert (found == inputs * 2).all()
print(runs, len(list(folder.glob("*.predictions"))), len(list(folder.iterdir())))
for warning in caught:
    print(warning.category.__name__, warning.message)
"""


def on_a_small_disk(script):
    """A prefix that mounts a disk of 128 KiB over a folder, in a namespace of its own, before it runs a program."""
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]


def can_mount():
    if shutil.which("unshare") is None:
        return False
    probe = on_a_small_disk("mount -t tmpfs -o size=128k tmpfs /mnt")
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(not can_mount(), reason="this machine does not let us mount a small disk")


@needs_mount
def test_a_full_disk_is_told_once_and_the_work_goes_on(tmp_path):
    prefix = on_a_small_disk(f'mount -t tmpfs -o size=128k tmpfs {tmp_path} && exec "$@"')
    done = in_a_new_process(SMALL_DISK, tmp_path, 12, prefix=prefix)
    assert done.returncode == 0, done.stderr
    counts, *warned = done.stdout.splitlines()
    runs, kept, there = map(int, counts.split())
    assert runs == 12
    assert 4 <= kept == there < 8  # nothing half-written is left
    assert len(warned) == 1
    assert warned[0].startswith(f"RuntimeWarning New predictions are no longer kept in {tmp_path}: No space left on")
    assert "HUETUNE_CACHE" in warned[0]


@needs_mount
def test_a_disk_that_may_only_be_read_still_serves_what_it_has(tmp_path):
    script = f'mount -t tmpfs -o size=1m tmpfs {tmp_path} && "$@" 3 && mount -o remount,ro {tmp_path} && "$@" 5'
    prefix = on_a_small_disk(script)
    done = in_a_new_process(SMALL_DISK, tmp_path, prefix=prefix)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["3 3 3", "2 3 3"]
    assert "Read-only file system" in done.stdout.splitlines()[2]
    assert len(done.stdout.splitlines()) == 3


def test_a_file_that_grows_too_large_for_the_system_is_told_once_and_the_work_goes_on(tmp_path):
    limited = "import resource\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
    done = in_a_new_process(limited + SMALL_DISK, tmp_path, 3)
    assert done.returncode == 0, done.stderr
    counts, *warned = done.stdout.splitlines()
    assert counts == "3 0 0"
    assert len(warned) == 1
    assert "File too large" in warned[0]


def test_a_folder_that_cannot_be_made_is_told_once_and_the_work_goes_on(tmp_path):
    (tmp_path / "file").write_text("")
    cache, model = PredictionCache(tmp_path / "file" / "cache"), Model()
    with pytest.warns(RuntimeWarning, match=r"no longer kept in .*file/cache: .*HUETUNE_CACHE"):
        found, _ = ask(cache, model)
    np.testing.assert_array_equal(found, INPUTS * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask(cache, model)
    assert model.runs == 2


def numbered(number):
    return np.full((16, 64), number, np.float32)  # 4 KiB


def age(folder, seconds):
    for file in files(folder):
        past = file.stat().st_mtime - seconds
        os.utime(file, (past, past))


def size_of(folder):
    return sum(file.stat().st_size for file in files(folder))


def test_past_the_limit_the_files_unused_for_longest_go(tmp_path):
    model = Model()
    for number in range(10):
        ask(PredictionCache(tmp_path), model, inputs=numbered(number))
        age(tmp_path, 10)
    ask(PredictionCache(tmp_path), model, inputs=numbered(0))  # oldest, but just used
    age(tmp_path, 10)
    one = size_of(tmp_path) // 10
    ask(PredictionCache(tmp_path, limit_bytes=10 * one + 100), model, inputs=numbered(10))
    assert size_of(tmp_path) <= 10 * one
    assert model.runs == 11
    cache = PredictionCache(tmp_path)
    for number in (0, 10, 9, 8, 7, 6, 5, 4, 3):
        ask(cache, model, inputs=numbered(number))
    assert model.runs == 11
    ask(cache, model, inputs=numbered(1))
    ask(cache, model, inputs=numbered(2))
    assert model.runs == 13


def test_a_build_never_removes_what_it_has_used_itself_and_says_that_the_limit_is_reached(tmp_path):
    model = Model()
    ask(PredictionCache(tmp_path), model, inputs=numbered(99))
    age(tmp_path, 10)
    one = size_of(tmp_path)
    cache = PredictionCache(tmp_path, limit_bytes=4 * one)

    def ask_for(*numbers):
        for number in numbers:
            ask(cache, model, inputs=numbered(number))

    with pytest.warns(RuntimeWarning, match=r"fill its limit of .* MiB. Raise limit_bytes"):
        ask_for(*range(8))
    assert size_of(tmp_path) == 4 * one
    runs = model.runs
    ask_for(*range(4))
    assert model.runs == runs


def test_a_batch_larger_than_the_limit_removes_nothing(tmp_path):
    model = Model()
    ask(PredictionCache(tmp_path), model)
    with pytest.warns(RuntimeWarning, match="fill its limit"):
        ask(PredictionCache(tmp_path, limit_bytes=1000), model, inputs=numbered(1))
    assert len(files(tmp_path)) == 1


def test_only_the_caches_own_files_count_and_are_removed(tmp_path):
    other = tmp_path / "notes.txt"
    other.write_bytes(bytes(100_000))
    model = Model()
    for number in range(3):
        ask(PredictionCache(tmp_path, limit_bytes=10_000), model, inputs=numbered(number))
    assert other.stat().st_size == 100_000
    assert len(files(tmp_path)) == 3  # two of ours


def test_what_a_dead_process_left_unfinished_is_removed_and_what_is_being_written_is_not(tmp_path):
    ask(PredictionCache(tmp_path), Model())
    (file,) = files(tmp_path)
    old, fresh = (file.with_name(f"{file.name}-{name}.part") for name in ("old", "fresh"))
    for part in (old, fresh):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    ask(PredictionCache(tmp_path), Model(), inputs=numbered(1))
    assert not old.exists()
    assert fresh.exists()


def test_processes_that_share_a_folder_all_get_right_predictions(tmp_path):
    # The limit holds a third of it all, so that they also remove each other's files while these are read.
    code = """
    warnings.simplefilter("error")
    generator = np.random.default_rng(int(sys.argv[2]))
    for number in generator.integers(0, 12, 300):
        cache = PredictionCache(folder, limit_bytes=20_000)
        inputs = np.full((16, 64), number, np.float32)
        found, told = cache.predict(PredictionKey("model", "code"), inputs, lambda _: (inputs * 2, inputs[:, :1] - 1))
        assert (found == inputs * 2).all() and (told == inputs[:, :1] - 1).all()
    """
    running = [subprocess.Popen(command(code, tmp_path, seed), stderr=subprocess.PIPE) for seed in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    assert 0 < len(files(tmp_path)) <= 4 + 2  # the limit, and what two others wrote at the same time


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HUETUNE_CACHE", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == PredictionCache().folder == tmp_path / "chosen" / "predictions"
    monkeypatch.delenv("HUETUNE_CACHE")
    assert default_folder() == tmp_path / "xdg" / "huetune" / "predictions"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_folder() == tmp_path / "home" / ".cache" / "huetune" / "predictions"


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_is_refused(limit):
    with pytest.raises(ValueError, match=f"limit_bytes > 0, got {limit}"):
        PredictionCache(limit_bytes=limit)


@pytest.fixture
def version(tmp_path, monkeypatch):
    """The code version of a predictor in a package `painters`, as a new process finds it."""
    site = tmp_path / "site"
    package, info = site / "painters", site / "painters-1.0.dist-info"
    (package / "inner").mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: painters\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[huetune.predictors]\npainter = painters.inner.load:load\n")
    (package / "__init__.py").write_text("raise RuntimeError('nothing is imported for a version')\n")
    (package / "inner/load.py").write_text("def load(folder, data): ...\n")
    monkeypatch.syspath_prepend(str(site))

    def find():
        code_version.cache_clear()
        return code_version("painter")

    find.site = site
    yield find
    code_version.cache_clear()


def test_the_code_version_is_the_same_while_nothing_changes_wherever_it_lies(version, monkeypatch, tmp_path):
    first = version()
    assert len(first) == 64
    assert version() == first
    shutil.move(version.site, tmp_path / "elsewhere")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    assert version() == first


def test_any_change_of_the_code_is_another_version(version):
    package = version.site / "painters"
    seen = [version()]
    (package / "inner/load.py").write_text("def load(folder, data): pass\n")
    seen.append(version())
    (package / "network.py").write_text("")  # new, and not even imported by the loader
    seen.append(version())
    (package / "network.py").rename(package / "inner/network.py")
    seen.append(version())
    metadata = version.site / "painters-1.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text().replace("1.0", "1.1"))
    seen.append(version())
    assert len(set(seen)) == len(seen)


def test_a_module_without_a_package_has_a_version_too(tiny):
    code_version.cache_clear()
    first = code_version("tiny")
    code_version.cache_clear()
    assert code_version("tiny") == first
    file = tiny.__file__
    with open(file, "a") as stream:
        stream.write("\n# changed\n")
    code_version.cache_clear()
    assert code_version("tiny") != first
    code_version.cache_clear()


def test_without_sources_nothing_is_reused(version):
    shutil.rmtree(version.site / "painters")
    assert version() != version()


def test_a_predictor_that_nobody_supplies_has_no_version():
    with pytest.raises(UnknownPredictor, match="'nobody'"):
        code_version("nobody")
