"""Alerts, dashboard and scrape configuration, held against the metrics that the product really has."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent import metrics

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
(GROUP,) = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/helpdesk.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}

WORDS = {"by", "without", "and", "or", "unless", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
BUILT_IN = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
SCRAPED = {"job", "instance"}


def known() -> dict[str, set[str]]:
    """Each series that can exist, with its labels."""
    found: dict[str, set[str]] = dict(BUILT_IN)
    for family in metrics.REGISTRY.collect():
        labels = set(
            getattr(getattr(metrics, f"{family.name}_total", getattr(metrics, family.name, None)), "_labelnames", ())
        )
        match family.type:
            case "counter":
                found[f"{family.name}_total"] = labels
            case "histogram":
                found |= {f"{family.name}_bucket": labels | {"le"}}
                found |= {f"{family.name}_{part}": labels for part in ("count", "sum")}
            case _:
                found[family.name] = labels
    return found


KNOWN = known()


def series_of(query: str) -> set[str]:
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\{[^}]*\}', " ", query)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\b\d+[smhdw]\b", " ", bare)
    return set(re.findall(r"\b([a-zA-Z_][\w:]*)\b(?!\s*\()", bare)) - WORDS


def labels_of(query: str) -> set[str]:
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query)
    grouped = [
        name for group in re.findall(r"\bby\s*\(([^)]*)\)", query) for name in re.split(r"[,\s]+", group) if name
    ]
    return {*matched, *grouped}


EVERY_QUERY = [*((name, rule["expr"]) for name, rule in ALERTS.items()), *QUERIES.items()]


class TestQueries:
    @pytest.mark.parametrize(("name", "query"), EVERY_QUERY)
    def test_ask_only_for_series_and_labels_that_exist(self, name, query):
        series = series_of(query)
        assert series
        assert series <= set(KNOWN)
        assert labels_of(query) <= set().union(SCRAPED, *(KNOWN[found] for found in series))

    @pytest.mark.parametrize(("name", "query"), EVERY_QUERY)
    def test_take_rates_of_counters_and_quantiles_of_buckets(self, name, query):
        for found in series_of(query):
            if found.endswith(("_total", "_bucket")):
                assert re.search(rf"(rate|increase)\({found}\b", query)
        assert query.count("histogram_quantile") == len(re.findall(r"sum by \(le[^)]*\) \(rate\(\w+_bucket", query))

    def test_the_reader_of_queries_sees_what_is_in_them(self):
        query = 'sum by (role) (rate(lost_total{a="x"}[5m])) / b > 3 and c offset 1d'
        assert series_of(query) == {"lost_total", "b", "c"}
        assert labels_of(query) == {"role", "a"}


class TestAlerts:
    def test_are_those_that_were_promised(self):
        assert set(ALERTS) == {
            "ApiDown", "HighErrorRate", "TurnsLapsing", "TurnsFailing", "SlowFirstText", "HandoffsSpiking",
            "ModelErrors", "DraftsNotWanted", "PoolExhausted",
        }  # fmt: skip

    @pytest.mark.parametrize("name", ALERTS)
    def test_each_says_how_bad_it_is_and_what_to_do(self, name):
        assert ALERTS[name]["labels"]["severity"] in ("critical", "warning")
        assert set(ALERTS[name]["annotations"]) == {"summary", "description"}

    def test_a_model_s_good_outcomes_are_those_that_the_code_has(self):
        (good,) = re.findall(r'outcome!~"([^"]*)"', ALERTS["ModelErrors"]["expr"])
        assert {"stop", "tool_calls"} <= set(good.split("|"))


class TestScraping:
    def test_the_target_is_the_api_and_its_port(self):
        (job,) = PROMETHEUS["scrape_configs"]
        ((target,),) = [config["targets"] for config in job["static_configs"]]
        name, port = target.split(":")
        assert SERVICES[name]["environment"]["PORT"] == port
        assert set(re.findall(r'job="(\w+)"', " ".join(query for _, query in EVERY_QUERY))) == {job["job_name"]}

    def test_the_rules_are_where_prometheus_looks(self):
        mounts = dict(mount.split(":")[:2] for mount in SERVICES["prometheus"]["volumes"])
        (rules,) = PROMETHEUS["rule_files"]
        assert (DEPLOY / "prometheus" / Path(rules).name).is_file()
        assert rules == f"{mounts['./deploy/prometheus']}/alerts.yml"
        assert "--config.file=/etc/prometheus/prometheus.yml" in SERVICES["prometheus"]["command"]


class TestDashboard:
    def test_shows_every_metric_of_ours(self):
        shown = set().union(*map(series_of, QUERIES.values()))
        ours = {name for name in KNOWN if not name.startswith(("process_", "python_"))} - set(BUILT_IN)
        assert {re.sub("_(bucket|sum|count)$", "", name) for name in ours} == {
            re.sub("_bucket$", "", name) for name in shown if not name.startswith("process_")
        } - set(BUILT_IN)

    def test_its_data_source_is_provisioned(self):
        (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())[
            "datasources"
        ]
        assert source["url"] == "http://prometheus:9090"
        targets = [target for panel in PANELS for target in panel["targets"]]
        assert {part["datasource"]["uid"] for part in (*PANELS, *targets)} == {source["uid"]}

    def test_is_where_grafana_looks(self):
        (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/helpdesk.yml").read_text())["providers"]
        mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
        assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
        home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        assert (DEPLOY / "grafana/dashboards" / Path(home).name).is_file()

    def test_panels_have_their_own_ids_and_do_not_overlap(self):
        ids = [panel["id"] for panel in DASHBOARD["panels"]]
        assert len(set(ids)) == len(ids)
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(set(cells)) == len(cells)
        assert max(x for x, _ in cells) == 23
