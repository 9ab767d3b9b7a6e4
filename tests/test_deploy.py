"""The files of `deploy/` and around it, held against the product and against each other. No Docker is needed."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.settings import AREAS, COMPOSE_ONLY, DatabaseSettings, Settings, variables
from memory.errors import Misconfigured

ROOT = Path(__file__).parents[1]
COMMANDS = {"serve", "worker", "migrate", "seed", "tenant", "user", "reindex", "ingest"}
SECRETS = {"SECRET_KEY", "ENCRYPTION_KEYS", *COMPOSE_ONLY}
OURS = ("setup", "api", "worker")
# Not for the application: the owner's address, and a second name for the address it gets.
WITHHELD = {"DATABASE_OWNER_URL", "CONNECTION_PG_DB"}
LOCKS = [*sorted((ROOT / "deploy").glob("*.lock")), ROOT / "requirements.lock"]
REFERENCE = re.compile(r"\$\{(\w+)(:[-?])?([^}]*)\}")
FERNET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def read(path: str) -> str:
    return (ROOT / path).read_text()


def parsed(path: str) -> dict[str, Any]:
    return yaml.safe_load(read(path))


COMPOSE = parsed("compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DEVELOPMENT = parsed("deploy/compose.dev.yaml")["services"]
services = pytest.mark.parametrize("name", SERVICES)


def filled_in(text: str, given: dict[str, str]) -> str:
    """The text as compose reads it with these variables in `.env`."""

    def fill(found: re.Match[str]) -> str:
        name, rule, fallback = found.groups()
        if value := given.get(name):
            return value
        if rule == ":?":
            raise KeyError(name)
        return fallback

    return REFERENCE.sub(fill, text)


def dockerfile(instruction: str) -> list[str]:
    text = re.sub(r"\\\n\s*", "", read("deploy/Dockerfile"))
    return re.findall(rf"^{instruction} (.+)$", text, re.MULTILINE)


class TestServices:
    def test_are_those_of_the_design(self):
        assert set(SERVICES) == {
            "setup", "api", "worker", "postgres", "redis", "chroma", "prometheus", "grafana",
        }  # fmt: skip

    @services
    def test_each_is_checked_or_runs_once(self, name):
        check = SERVICES[name]["healthcheck"]
        if check.get("disable"):
            assert SERVICES[name]["restart"] == "no"
            for other in ("api", "worker"):
                assert SERVICES[other]["depends_on"][name] == {"condition": "service_completed_successfully"}
        else:
            assert check["test"][0] in ("CMD", "CMD-SHELL")
            assert {"interval", "timeout", "retries"} <= set(check)
            assert SERVICES[name]["restart"] == "unless-stopped"

    @services
    def test_only_the_api_and_grafana_are_published_and_only_on_this_machine(self, name):
        ports = SERVICES[name].get("ports", [])
        assert bool(ports) == (name in ("api", "grafana"))
        assert all(port.startswith("127.0.0.1:") for port in ports)

    @services
    def test_each_is_on_the_one_private_network(self, name):
        assert SERVICES[name]["networks"] == ["helpdesk-network"]
        assert "network_mode" not in SERVICES[name]
        assert COMPOSE["networks"]["helpdesk-network"]["name"] == "helpdesk-network"

    @services
    def test_each_is_confined(self, name):
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert {"mem_limit", "pids_limit"} <= set(service)
        assert "privileged" not in service
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}

    @services
    def test_each_image_is_ours_or_of_a_stated_version(self, name):
        image = SERVICES[name]["image"]
        if name in OURS:
            assert image == "helpdesk:latest"
            assert (ROOT / SERVICES[name]["build"]["dockerfile"]).is_file()
        else:
            assert re.search(r":v?\d+\.\d+", image)

    @pytest.mark.parametrize("name", OURS)
    def test_commands_of_ours_exist(self, name):
        words = " ".join(SERVICES[name]["command"])
        called = re.findall(r"helpdesk (\S+)", words)
        assert called
        assert set(called) <= COMMANDS

    def test_setup_migrates_and_then_seeds(self):
        assert SERVICES["setup"]["command"] == ["sh", "-c", "helpdesk migrate && helpdesk seed"]

    def test_what_a_service_waits_for_exists_and_is_checked(self):
        for service in SERVICES.values():
            for name, how in service.get("depends_on", {}).items():
                assert name in SERVICES
                if how["condition"] == "service_healthy":
                    assert "test" in SERVICES[name]["healthcheck"]

    def test_chroma_is_there_only_when_asked_for(self):
        assert SERVICES["chroma"]["profiles"] == ["chroma"]
        assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["chroma"]
        assert SERVICES["setup"]["depends_on"]["chroma"]["required"] is False

    def test_what_is_mounted_exists_and_what_is_kept_has_a_volume(self):
        for service in SERVICES.values():
            for source, _, how in (mount.partition(":") for mount in service.get("volumes", [])):
                if source.startswith("."):
                    assert (ROOT / source).exists()
                    assert how.endswith(":ro")
                else:
                    assert source in COMPOSE["volumes"]
        for name in ("postgres", "redis", "chroma", "prometheus", "grafana"):
            assert any(mount.startswith(f"{name}-data:") for mount in SERVICES[name]["volumes"])

    def test_postgres_keeps_its_data_above_the_folder_of_its_version(self):
        assert "-pg18" in SERVICES["postgres"]["image"]
        assert "postgres-data:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]

    def test_postgres_is_ready_only_when_it_listens_to_others(self):
        assert "--host=127.0.0.1" in SERVICES["postgres"]["healthcheck"]["test"]


class TestSecrets:
    def test_a_secret_is_required_and_has_no_default(self):
        found = {name: (rule, rest) for name, rule, rest in REFERENCE.findall(read("compose.yaml"))}
        assert {name for name, (rule, _) in found.items() if rule == ":?"} == SECRETS
        for _, rule, rest in REFERENCE.findall(read("compose.yaml")):
            assert rule == ":?" or rest in ("", "0", "8000")

    def test_each_name_that_compose_reads_is_a_known_one(self):
        names = {name for name, *_ in REFERENCE.findall(read("compose.yaml"))}
        assert names <= variables() | COMPOSE_ONLY
        assert names >= COMPOSE_ONLY

    @pytest.mark.parametrize(
        ("mark", "holders"),
        [
            ("DATABASE_OWNER_URL", {"setup"}),
            ("${HELPDESK_OWNER_PASSWORD", {"setup", "postgres"}),
            ("${HELPDESK_APP_PASSWORD", {"setup", "api", "worker", "postgres"}),
            ("${POSTGRES_PASSWORD", {"postgres"}),
            ("${GRAFANA_PASSWORD", {"grafana"}),
            ("${SECRET_KEY", {"setup", "api", "worker"}),
        ],
    )
    def test_each_reaches_only_who_needs_it(self, mark, holders):
        assert {name for name, service in SERVICES.items() if mark in str(service.get("environment", {}))} == holders
        assert not any("env_file" in service for service in SERVICES.values())

    def test_none_is_in_a_file_that_is_committed(self):
        for path in ("compose.yaml", "deploy/compose.dev.yaml", ".env.example", "deploy/Dockerfile"):
            assert not re.search(r"(?i)(password|secret|_key)\s*[:=]\s*[\w-]{8,}$", read(path), re.MULTILINE)


class TestSettings:
    @pytest.mark.parametrize("name", OURS)
    def test_every_setting_can_be_made_in_dot_env(self, name):
        given = set(SERVICES[name]["environment"])
        assert given - {"DATABASE_OWNER_URL"} == variables() - WITHHELD

    @pytest.mark.parametrize("name", OURS)
    def test_what_compose_hands_over_is_accepted(self, name, monkeypatch):
        given = dict.fromkeys(COMPOSE_ONLY, "abc123") | {"SECRET_KEY": "s" * 48, "ENCRYPTION_KEYS": FERNET}
        for variable in variables():
            monkeypatch.delenv(variable, raising=False)
        for variable, value in SERVICES[name]["environment"].items():
            monkeypatch.setenv(variable, filled_in(value, given))
        settings = Settings.load(env_file=None)
        assert settings.database.url == "postgresql://helpdesk_app:abc123@postgres:5432/helpdesk"
        assert (settings.database.owner_url is None) == (name != "setup")
        assert (settings.http.host, settings.http.port) == ("0.0.0.0", 8000)
        assert settings.models.answer == "extractive"
        assert settings.knowledge.index == "pgvector"

    def test_the_host_s_port_is_a_setting_and_the_container_s_is_not(self):
        assert filled_in(SERVICES["api"]["ports"][0], {}) == "127.0.0.1:8000:8000"
        assert filled_in(SERVICES["api"]["ports"][0], {"PORT": "9000"}) == "127.0.0.1:9000:8000"

    def test_the_database_admits_the_pools_of_the_processes(self):
        (most,) = re.findall(r"max_connections=(\d+)", " ".join(SERVICES["postgres"]["command"]))
        per_process = 2 * DatabaseSettings.model_fields["pool_size"].default + 8
        assert int(most) >= len(OURS) * per_process


class TestDotEnvExample:
    LINES = re.findall(r"^(# )?([A-Z][A-Z_]+)=(.*)$", read(".env.example"), re.MULTILINE)

    def test_names_every_variable_once_and_no_other(self):
        names = [name for _, name, _ in self.LINES]
        assert sorted(names) == sorted(variables() | COMPOSE_ONLY)

    def test_asks_for_the_secrets_and_leaves_the_rest_as_it_is(self):
        assert {name for mark, name, _ in self.LINES if not mark} == SECRETS
        assert not any(value for _, name, value in self.LINES if name in SECRETS)

    def test_shows_the_real_defaults(self):
        shown = {name: value for _, name, value in self.LINES}
        for area in AREAS:
            for field in area.model_fields.values():
                if field.default is not None:
                    default = field.default
                    text = str(default).lower() if isinstance(default, bool) else str(default)
                    assert shown[str(field.validation_alias)] == text

    def test_as_it_is_it_changes_nothing(self, tmp_path, monkeypatch):
        for name in variables():
            monkeypatch.delenv(name, raising=False)
        copy = tmp_path / ".env"
        copy.write_text(read(".env.example"))
        assert Settings.load(env_file=copy) == Settings.load(env_file=None)
        copy.write_text(read(".env.example") + "HELPDESK_PASSWORD=x\n")
        with pytest.raises(Misconfigured, match="HELPDESK_PASSWORD"):
            Settings.load(env_file=copy)

    def test_compose_names_what_is_still_missing(self):
        empty = {name: value for mark, name, value in self.LINES if not mark}
        with pytest.raises(KeyError):
            filled_in(read("compose.yaml"), empty)
        filled_in(read("compose.yaml"), dict.fromkeys(empty, "x"))


class TestDevelopmentOverride:
    def test_adds_to_services_that_exist(self):
        assert set(DEVELOPMENT) <= set(SERVICES)

    def test_mounts_the_packages_where_python_finds_them_first(self):
        packages = {mount.split(":")[0][2:]: mount.split(":")[1] for mount in DEVELOPMENT["api"]["volumes"]}
        assert set(packages) == set(wheel_packages())
        assert set(packages.values()) == {
            f"{DEVELOPMENT['api']['environment']['PYTHONPATH']}/{name}" for name in packages
        }
        assert DEVELOPMENT["api"]["environment"]["DEBUG"] == "true"

    def test_publishes_on_this_machine_alone_and_each_port_once(self):
        ports = [port for service in (*SERVICES.values(), *DEVELOPMENT.values()) for port in service.get("ports", [])]
        taken = [filled_in(port, {}).rsplit(":", 1)[0] for port in ports]
        assert all(port.startswith("127.0.0.1:") for port in taken)
        assert len(set(taken)) == len(taken)


def wheel_packages() -> list[str]:
    return tomllib.loads(read("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


class TestImage:
    def test_does_not_run_as_root(self):
        final = read("deploy/Dockerfile").split("\nFROM ")[-1]
        (user,) = re.findall(r"^USER (\S+)$", final, re.MULTILINE)
        assert re.search(rf"useradd --uid [1-9]\d{{3,}} .*{user}", final)
        assert final.index(f"USER {user}") < final.index("CMD [")

    def test_installs_the_lock_and_nothing_else(self):
        installs = re.findall(r"pip install ([^&]+)", " ".join(dockerfile("RUN")))
        for options in installs:
            assert "--no-deps" in options
            assert "--require-hashes" in options or "--no-index" in options
        assert any("-r deploy/requirements.lock" in options for options in installs)

    def test_stops_on_sigterm_and_listens_to_others(self):
        assert dockerfile("STOPSIGNAL") == ["SIGTERM"]
        assert "HOST=0.0.0.0" in dockerfile("ENV")[-1]
        assert dockerfile("CMD")[-1] == '["helpdesk", "serve"]'

    def test_is_checked_on_livez(self):
        (check,) = dockerfile("HEALTHCHECK")
        assert "/livez" in check
        assert "deploy/health.py" in " ".join(dockerfile("COPY"))

    def test_gets_every_package_and_what_it_copies_may_reach_the_build(self):
        allowed = [line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")]
        copied = [word for line in dockerfile("COPY") if "--from" not in line for word in line.split()[:-1]]
        assert set(wheel_packages()) <= set(copied)
        for source in copied:
            assert (ROOT / source).exists()
            assert any(fnmatch(source, pattern) for pattern in allowed)

    def test_the_build_sees_no_secrets(self):
        lines = read(".dockerignore").splitlines()
        assert "*" in lines
        assert not any(fnmatch(".env", line[1:]) or fnmatch("data", line[1:]) for line in lines if line.startswith("!"))


def pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(), re.MULTILINE))


class TestLocks:
    @pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
    def test_each_requirement_has_a_hash_and_none_an_address(self, lock):
        text = lock.read_text()
        assert "://" not in text
        entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
        assert entries
        for entry in entries:
            assert re.match(r"[a-z0-9][a-z0-9._-]*(\[[^\]]*\])?==\S+", entry)
            assert re.search(r"^    --hash=sha256:[0-9a-f]{64}", entry, re.MULTILINE)

    def test_there_are_three(self):
        assert [lock.name for lock in LOCKS] == ["build.lock", "requirements.lock", "requirements.lock"]

    @pytest.mark.parametrize("name", ["build.lock", "requirements.lock"])
    def test_the_image_has_the_versions_that_are_tested(self, name):
        assert pinned(ROOT / "deploy" / name).items() <= pinned(ROOT / "requirements.lock").items()

    def test_the_image_has_what_the_product_needs_and_no_tools_of_ours(self):
        project = tomllib.loads(read("pyproject.toml"))["project"]

        def names(requirements: list[str]) -> set[str]:
            return {re.split(r"[\[<>=;\s]", requirement.lower())[0].replace("_", "-") for requirement in requirements}

        image = set(pinned(ROOT / "deploy/requirements.lock"))
        assert names(project["dependencies"]) <= image
        assert not image & (names(project["optional-dependencies"]["dev"]) - names(project["dependencies"]))
        assert not image & {"torch", "sentence-transformers"}


class TestWorkflow:
    def test_lints_checks_types_tests_on_both_pythons_and_builds_the_image(self):
        jobs = parsed(".github/workflows/ci.yml")["jobs"]
        steps = {name: " ".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()}
        assert "make check" in steps["check"]
        assert "make test" in steps["test"]
        assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
        assert "docker compose build" in steps["image"]

    def test_may_only_read(self):
        assert parsed(".github/workflows/ci.yml")["permissions"] == {"contents": "read"}
