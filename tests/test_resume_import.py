"""An import that is stopped at any place goes on from its checkpoint, and ends as an undisturbed one."""

import pytest

from tests.csv_imports import MIXED, catalogue, import_for

pytestmark = pytest.mark.django_db


class Killed(Exception):
    pass


def test_an_import_that_is_stopped_again_and_again_ends_as_an_undisturbed_one(alice, bob, transactional_db):
    undisturbed = import_for(bob, MIXED)
    expected = undisturbed.run()
    stopped = import_for(alice, MIXED)

    def die_after_the_commit(done, total, stage, **counts):
        if done > reached[-1]:
            reached.append(done)
            raise Killed

    def die_before_the_commit(checkpoint, result):
        raise Killed

    reached = [0]
    while True:
        rows, rejects = catalogue(alice), list(stopped.rejections)
        if stopped.checkpoint.get("result", {}).get("rows", 0) < 60:
            with pytest.raises(Killed):
                stopped.run(save=die_before_the_commit, reject=lambda rows: None)
            assert (catalogue(alice), stopped.rejections) == (rows, rejects)
        try:
            result = stopped.run(report=die_after_the_commit)
        except Killed:
            continue
        break
    assert len(reached) > 20
    assert expected["rows_before"] == 0
    assert 0 < result["rows_before"] <= 60
    assert result | {"rows_before": 0} == expected
    assert catalogue(alice) == catalogue(bob)
    assert stopped.rejections == undisturbed.rejections


def test_a_report_that_raises_ends_the_import_and_keeps_what_was_committed(alice):
    stopped = import_for(alice, MIXED)

    def cancel(done, total, stage, **counts):
        if done > 10:
            raise Killed

    with pytest.raises(Killed):
        stopped.run(report=cancel)
    assert len(catalogue(alice)) == stopped.checkpoint["result"]["created"] > 0


def test_a_release_that_cuts_the_file_elsewhere_goes_on_and_counts_the_same(alice, bob):
    expected = import_for(bob, MIXED).run()
    stopped = import_for(alice, MIXED)

    def cancel(done, total, stage, **counts):
        if done > 30:
            raise Killed

    with pytest.raises(Killed):
        stopped.run(report=cancel)
    result = stopped.run(chunk_lines=50)
    assert [result[name] for name in ("rows", "rejected")] == [expected[name] for name in ("rows", "rejected")]
    assert (catalogue(alice), len(stopped.rejections)) == (catalogue(bob), expected["rejected"])


def test_the_header_is_read_again_and_not_kept_in_the_checkpoint(alice):
    wide = "external_id,title" + "".join(f",more{number}" for number in range(1_000))
    stopped = import_for(alice, wide + "\n" + "".join(f"A{number},T{',' * 1_000}\n" for number in range(20)))

    def cancel(done, total, stage, **counts):
        if done > 10:
            raise Killed

    with pytest.raises(Killed):
        stopped.run(report=cancel)
    assert "more7" not in str(stopped.checkpoint)
    result = stopped.run()
    assert (result["header"], len(result["ignored_columns"])) == (wide.split(","), 1_000)
    assert result["rows"] == result["created"] == 20
