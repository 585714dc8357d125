"""A user of the service: uploads a video, waits for its end, fetches results, deletes the job.

Started by run.py through locust. Appends a line to the record for each finished video, and for each
response that is neither what was asked for nor a request to come back later.
"""

import itertools
import json
import time
from pathlib import Path

from locust import HttpUser, events, task
from locust.exception import StopUser
from scenarios import SCENARIOS

POLL_S = 0.25
TIMEOUT_S = 120
LANDMARKS = 33
REFUSALS = (429, 503)

numbers = itertools.count()
left = itertools.count(1)


@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--scenario", help="Name of the scenario")
    parser.add_argument("--videos", help="JSON object: the path of each video")
    parser.add_argument("--record", help="File to append to")


class Person(HttpUser):
    def on_start(self):
        self.options = self.environment.parsed_options
        self.scenario = SCENARIOS[self.options.scenario]
        self.paths = json.loads(self.options.videos)
        self.number = next(numbers)
        # Behind a reverse proxy, each user is a client of its own.
        self.client.headers["X-Forwarded-For"] = f"198.51.100.{self.number + 1}"

    def on_stop(self):
        if next(left) == self.scenario.users:
            self.environment.runner.quit()

    @task
    def use(self):
        for video in self.scenario.videos_of(self.number):
            self.process(video)
        raise StopUser

    def process(self, video):
        began = time.time()
        job, refusals = self.upload_until_accepted(Path(self.paths[video]))
        accepted = time.time()
        frames = self.await_completion(job)
        finished = time.time()
        self.fetch(job, "pose_data.csv", lambda body: body.count(b"\n") == LANDMARKS * frames + 1)
        self.fetch(job, "output.mp4", lambda body: body[4:8] == b"ftyp")
        with self.request("DELETE", f"/api/cleanup/{job}", "delete") as response:
            self.expect(response, response.status_code == 200)
        write(
            self.options.record,
            user=self.number,
            video=video,
            job=job,
            began=began,
            accepted=accepted,
            finished=finished,
            refusals=refusals,
        )

    def upload_until_accepted(self, path):
        """Comes back after as many seconds as the service says each time."""
        refusals = []
        while True:
            with path.open("rb") as file, self.upload(file) as response:
                if response.status_code == 202:
                    return response.json()["job_id"], refusals
                wait = response.headers.get("Retry-After", "")
                code = problem(response)
                self.expect(response, response.status_code in REFUSALS and wait.isdigit() and code)
                response.request_meta["name"] = f"upload: {code}"
            refusals.append({"at": time.time(), "wait": int(wait), "code": code})
            time.sleep(int(wait))

    def upload(self, file):
        """Every other user sends a form."""
        if self.number % 2:
            return self.request("PUT", "/api/upload?filename=video.mp4", "upload", data=file)
        return self.request("POST", "/api/upload", "upload", files={"file": ("video.mp4", file)})

    def await_completion(self, job):
        """The number of frames of the completed job."""
        while True:
            with self.request("GET", f"/api/status/{job}", "status") as response:
                self.expect(response, response.status_code == 200)
                status = response.json()
                state = status["status"]
                self.expect(response, state in ("pending", "processing", "completed"))
            if state == "completed":
                return status["total_frames"]
            time.sleep(POLL_S)

    def fetch(self, job, name, is_valid):
        with self.request("GET", f"/api/serve/{job}/{name}", name) as response:
            self.expect(response, response.status_code == 200 and is_valid(response.content))

    def request(self, method, path, name, **body):
        return self.client.request(method, path, name=name, catch_response=True, timeout=TIMEOUT_S, **body)

    def expect(self, response, is_expected):
        """Accepts the response, or reports it and ends this user."""
        if is_expected:
            response.success()
            return
        response.failure(f"{response.status_code} {response.error or response.text[:200]}")
        raise StopUser


def problem(response):
    """The code of a problem document, if it is one."""
    try:
        return response.json().get("code")
    except (ValueError, AttributeError):
        return None


@events.init.add_listener
def record_failures(environment, **_):
    def record(failure):
        write(environment.parsed_options.record, failure=failure)

    def request(name, exception, **_):
        if exception:
            record(f"{name}: {exception}")

    def user_error(exception, **_):
        record(repr(exception))
        environment.runner.quit()

    environment.events.request.add_listener(request)
    environment.events.user_error.add_listener(user_error)


def write(path, **line):
    with open(path, "a", encoding="utf-8") as record:
        record.write(json.dumps(line) + "\n")
