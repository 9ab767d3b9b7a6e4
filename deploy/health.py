"""Answers a container's health check by its exit code: `health.py /readyz` of a server, `health.py worker` of a worker.

A server is asked over HTTP, past any proxy of the environment. A worker listens to nobody, but it holds connections to
the database for as long as it lives and reaches it: it is healthy while another connection than this one comes from
the same address under the same role.
"""

import http.client
import sys

import psycopg

from agent.settings import Settings

ANOTHER = """
select exists (
    select 1 from pg_stat_activity
    where pid <> pg_backend_pid() and usename = current_user and datname = current_database() and backend_type = 'client backend'
        and client_addr is not distinct from inet_client_addr())
"""


def serves(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    connection.request("GET", path)
    return connection.getresponse().status == 200


def works(database_url: str) -> bool:
    with psycopg.connect(database_url, connect_timeout=4) as connection:
        return connection.execute(ANOTHER).fetchone() == (True,)


def healthy(asked: str, settings: Settings) -> bool:
    if asked != "worker":
        return serves(settings.http.port, asked)
    return settings.database.url is not None and works(settings.database.url)


if __name__ == "__main__":
    sys.exit(not healthy(sys.argv[1], Settings.load(env_file=None)))
