"""User classes for a Locust master whose workers are `h2get bench --locust-master`.

A master takes the names and weights of its user classes from a locustfile. The users themselves run in h2get, so these do nothing.
h2get accepts every name: rename the class, or add classes to see their numbers apart in the web UI. Requests are reported by path,
whatever the class.

    locust -f locustfile.py --master
"""

import logging
import sys

from locust import User, events, task
from locust.runners import MasterRunner


class H2getUser(User):
    """One user of h2get: what that is, its option --user says."""

    weight = 1

    @task
    def runs_in_h2get(self):
        pass


@events.init.add_listener
def refuse_other_runners(environment, **_):
    """Without --master, Locust would run users that do nothing, and report nothing."""
    if not isinstance(environment.runner, MasterRunner):
        logging.error("locustfile.py is for a master (--master); its workers are h2get bench --locust-master")
        sys.exit(2)
