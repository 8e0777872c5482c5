"""What trials report layer by layer: found by name, told in the order of the network, drawn."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from hypothesis import given, settings
from hypothesis import strategies as st

from search.records import concatenate, table_of
from search.report.markup import Sheet
from search.report.page import report_html
from search.report.plots.layers import layers_figure, weights_figure
from search.report.plots.theme import DARK_OF
from search.report.sections.health import charts, health
from search.report.tables import layers
from search.report.tables.health import GAP, measures
from search.report.tables.snapshot import NothingToShow, snapshot

EVIL = "<script>alert(1)</script>%{x}"


def snap_of(statuses, **told):
    """The moment of a run of such trials, the last of them the best; `told` has a list of reports a trial by name."""
    ids = [f"t{n}" for n in range(1, len(statuses) + 1)]
    scores = [np.nan if status == "failed" else float(n) for n, status in enumerate(statuses)]
    trials = pd.DataFrame({"trial_id": ids, "number": range(1, len(ids) + 1), "status": statuses, "score": scores})
    rows = [
        {"trial_id": trial, "iteration": k + 1, "psnr": 1.0} | {name: of[n][k] for name, of in told.items()}
        for n, trial in enumerate(ids)
        for k in range(len(next(iter(told.values()))[n]))
    ]
    # What goes into a run's files, and comes out of them.
    measured = concatenate([table_of([row]) for row in rows]).to_pandas()
    return snapshot(runs.SyntheticRun({"metric": "psnr", "mode": "max"}, trials, measured))


def last(*values):
    """Reports of trials with one each."""
    return [[value] for value in values]


def named(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def test_the_numbers_of_a_layer_are_of_the_last_reports_of_trials_that_finished():
    snap = snap_of(
        ["failed", "stopped", "finished", "finished", "finished"],
        **{"layers/gradient/g.a": [[100.0], [50.0], [9.0, 1.0], [2.0, None], [7.0, 3.0]]},
    )
    table = layers.layers(snap)

    assert table.columns.tolist() == ["measure", "layer", "best", "median", "low", "high"]
    assert table.iloc[0].tolist() == pytest.approx(["gradient", "g.a", 3.0, 2.0, 1.1, 2.9])
    assert len(table) == 1
    assert table.attrs["trials"] == 3
    assert table.attrs["finished"]
    assert table.attrs["number"] == 5


def test_where_no_trial_finished_all_count():
    table = layers.layers(snap_of(["failed", "running", "running"], **{"layers/dead/g.a": last(0.0, 0.5, 1.0)}))

    assert table[["best", "median", "low", "high"]].iloc[0].tolist() == pytest.approx([1.0, 0.5, 0.05, 0.95])
    assert not table.attrs["finished"]


def test_a_run_without_a_best_trial_has_numbers_of_layers_and_no_weights():
    told = {f"layers/{name}/g.a": last(0.2, 0.4) for name in ("std", "weight_q05", "weight_q95")}
    snap = snap_of(["failed", "failed"], **told)

    assert layers.layers(snap)["best"].isna().all()
    assert "best trial" not in {trace.name for trace in layers_figure(layers.layers(snap)).data}
    with pytest.raises(NothingToShow, match="No trial has a score yet"):
        layers.weights(snap)
    assert "No trial has a score yet" in health(snap, Sheet())


def test_layers_stand_as_they_were_reported_and_those_of_one_part_together():
    shallow = ["g.down.9", "g.down.10", "g.up.0", "d.body.0"]
    deeper = [*shallow, "g.down.11", "g.up.1", "g.up.0.norm"]  # of the second trial, behind those of the first
    told = {f"layers/mean/{name}": last(1.0 if name in shallow else None, 1.0) for name in deeper}

    assert layers.layers(snap_of(["finished"] * 2, **told))["layer"].tolist() == [
        "g.down.9", "g.down.10", "g.down.11", "g.up.0", "g.up.0.norm", "g.up.1", "d.body.0"
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["finished", "stopped", "failed"]),
            st.floats(-1e9, 1e9) | st.sampled_from([np.nan, np.inf, -np.inf]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_median_lies_in_its_band_whatever_is_reported(trials):
    statuses, values = zip(*trials, strict=True)
    snap = snap_of(statuses, **{"layers/mean/g.a": last(*values)})
    try:
        table = layers.layers(snap)
    except NothingToShow:
        assert not np.isfinite(values).any() or "finished" in statuses
        return
    told = table[["low", "median", "high"]].dropna()
    assert ((told["low"] <= told["median"]) & (told["median"] <= told["high"])).all()
    assert len(layers_figure(table).data)


def test_a_run_that_reports_nothing_of_layers_has_no_charts_of_them():
    run = runs.synthetic_run(10, ensemble=False)
    for table in (layers.layers, layers.weights):
        with pytest.raises(NothingToShow, match="No trial reported"):
            table(snapshot(run))
    assert "health-layers" not in report_html(run)
    told = {f"layers/{name}/g.a": 0.5 for name in ("gradient", "weight_q05", "weight_q95")}
    page = report_html(replace(run, measured=run.measured.assign(**told)))
    assert '<figure class="card" id="health-layers">' in page
    assert '<figure class="card" id="health-weights">' in page


def test_what_is_no_number_of_a_layer_is_none():
    names = ["layers/gradient", "layers/mean/g", "layer/mean/g", "layers/note/g", "layers/ok/g"]
    told = dict(zip(names, [1.0, None, 1.0, "fine", True], strict=True))
    snap = snap_of(["finished"], **{name: last(value) for name, value in told.items()})
    assert layers.measures(snap) == []
    assert charts(snap) == []


def test_numbers_that_are_not_finite_show_nothing():
    snap = snap_of(["finished"], **{"layers/mean/g": last(np.inf), "layers/weight_q05/g": last(np.nan)})
    with pytest.raises(NothingToShow, match="finite"):
        layers.layers(snap)


def test_a_layer_may_be_called_like_a_measure_of_a_training():
    snap = snap_of(["finished"], **{"layers/gradient/gap": last(1.0)})
    assert measures(snap, GAP) == []
    assert [chart.name for chart in charts(snap)] == ["health_layers"]


def test_the_weights_are_those_of_the_best_trial_at_its_last_report():
    told = {
        "layers/weight_q95/g.a": [[3.0], [8.0, 2.0]],
        "layers/weight_q100/g.a": [[4.0], [9.0, 5.0]],
        "layers/weight_q05/g.a": [[-3.0], [-8.0, -2.0]],
        "layers/weight_q05/g.b": [[-1.0], [None, None]],
        "layers/weight_q101/g.a": [[1.0], [1.0, 1.0]],
    }
    snap = snap_of(["finished", "stopped"], **told)
    table = layers.weights(snap)

    assert table.columns.tolist() == ["layer", "weight_q05", "weight_q95", "weight_q100"]
    assert table.to_numpy().tolist() == [["g.a", -2.0, 2.0, 5.0]]
    assert table.attrs["quantiles"] == {"weight_q05": 5, "weight_q95": 95, "weight_q100": 100}
    assert table.attrs["number"] == 2
    assert layers.measures(snap) == ["weight_q101"]


def test_one_quantile_is_no_distribution():
    snap = snap_of(["finished"], **{"layers/weight_q50/g.a": last(1.0)})
    with pytest.raises(NothingToShow, match="two quantiles"):
        layers.weights(snap)


def test_many_layers_and_measures_are_cut_and_said_to_be():
    names = ["weight_q05", "weight_q95", *"abcdefgh"]
    told = {f"layers/{name}/g.{k}": last(1.0) for name in names for k in range(100)}
    snap = snap_of(["finished"], **told)
    for table in (layers.layers(snap), layers.weights(snap)):
        assert table["layer"].nunique() == layers.MOST_LAYERS
        assert table["layer"].iloc[[0, -1]].tolist() == ["g.0", "g.99"]
    assert layers.layers(snap)["measure"].unique().tolist() == list("abcdef")
    drawn = [chart.drawn(snap) for chart in charts(snap)]
    assert all("60 layers between these not drawn" in one.caption for one in drawn)
    assert "2 more measures not drawn" in drawn[0].caption
    assert all(one.figure.layout.height > 18 * layers.MOST_LAYERS for one in drawn)


def test_a_panel_a_measure_has_a_row_a_layer_the_first_on_top_and_the_best_trial_opens():
    told = {"layers/gradient/g.a": last(1e-4, 1e-3), "layers/gradient/g.b": last(1.0, 2.0)}
    told |= {"layers/mean/g.a": last(-1.0, 1.0), "layers/dead/g.a": last(0.0, 0.0)}
    told |= {"layers/below_zero/g.a": last(-5.0, -5.0)}
    figure = layers_figure(layers.layers(snap_of(["finished"] * 2, **told)))
    layout = figure.layout

    assert [note.text for note in layout.annotations] == [
        "Gradient norm", "Mean of outputs", "Share of dead units", "Below zero"
    ]  # fmt: skip
    assert [layout.xaxis.type, layout.xaxis2.type, layout.xaxis3.type] == ["log", None, None]
    assert tuple(layout.xaxis3.range) == (0, pytest.approx(1.03))
    assert tuple(layout.xaxis4.range) == (pytest.approx(-5.15), 0)
    assert tuple(layout.yaxis.ticktext) == ("g.a", "g.b")
    assert layout.yaxis.range[0] > layout.yaxis.range[1]
    best = named(figure, "best trial")
    assert [list(trace.x) for trace in best] == [[1e-3, 2.0], [1.0], [0.0], [-5.0]]
    assert {number for trace in best for number in trace.customdata} == {2}
    assert best[0].hovertext[1] == "g.b<br>best trial (2): 2.000<br>median 1.500<br>middle 90 %: 1.050 to 1.950"
    assert [trace.showlegend for trace in best] == [True, False, False, False]


@pytest.mark.parametrize(
    ("other", "labels"), [(200.0, ["1", "10", "100"]), (1e-9, ["1e-9", "1e-7", "1e-5", "0.001", "0.1"])]
)
def test_an_axis_has_few_labels_so_that_they_stand_beside_each_other_on_a_telephone(other, labels):
    told = {"layers/gradient/g.a": last(1.0), "layers/gradient/g.b": last(other)}
    axis = layers_figure(layers.layers(snap_of(["finished"], **told))).layout.xaxis

    assert [text for text in axis.ticktext if text] == labels


def test_weights_are_a_box_its_whiskers_and_its_extremes():
    shares = (0, 5, 25, 50, 75, 95, 100)
    told = {f"layers/weight_q{share:02d}/{layer}": last(share - 50.0) for share in shares for layer in ("g.a", "g.b")}
    figure = weights_figure(layers.weights(snap_of(["finished"], **told)))

    bars = {trace.name: trace for trace in figure.data if trace.mode == "lines"}
    assert list(bars) == ["all weights", "middle 90 %", "middle 50 %"]
    widths = [trace.line.width for trace in bars.values()]
    assert widths == sorted(widths)
    assert list(bars["middle 90 %"].x) == [-45, 45, None, -45, 45]
    assert list(bars["middle 90 %"].y) == [0, 0, None, 1, 1]
    [median] = named(figure, "median")
    assert list(median.x) == [0, 0]
    assert list(median.customdata) == [1, 1]
    assert median.hovertext[1].startswith("g.b<br>least: −50.00<br>5 %: −45.00<br>25 %")
    assert median.hovertext[1].endswith("<br>largest: 50.00")


def test_two_quantiles_of_any_share_are_drawn():
    told = {"layers/weight_q10/g": last(-1.0), "layers/weight_q75/g": last(1.0)}
    figure = weights_figure(layers.weights(snap_of(["finished"], **told)))
    assert [trace.name for trace in figure.data if trace.mode == "lines"] == ["10 to 75 %"]


def test_long_names_are_shortened_where_they_tell_least():
    told = {f"layers/mean/generator.encoder.block{k}.attention.proj": last(1.0) for k in (8, 11)}
    figure = layers_figure(layers.layers(snap_of(["finished"], **told)))

    assert tuple(figure.layout.yaxis.ticktext) == ("g.e.b8.a.proj", "g.e.b11.a.proj")
    assert figure.data[1].hovertext[1].startswith("generator.encoder.block11.attention.proj<br>")


def test_names_are_text_and_every_colour_has_a_dark_one():
    told = {f"layers/{EVIL.replace('/', '')}/{EVIL}": last(1.0)}
    told |= {f"layers/weight_q{share}/{EVIL}": last(1.0) for share in (0, 5, 25, 50, 75, 95, 100)}
    snap = snap_of(["finished"], **told)
    assert "<script>alert" not in health(snap, Sheet())
    for chart in charts(snap):
        text = chart.drawn(snap).figure.to_json()
        assert "<script" not in json.dumps(json.loads(text), ensure_ascii=False)
        assert "%{x}" not in text
        assert set(re.findall(r"#[0-9a-f]{6}", text)) <= set(DARK_OF)
