"""What the users of each scenario do."""

from dataclasses import dataclass

SAMPLE = "sample"


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    users: int
    # The videos of one user, one after the other.
    videos: tuple[str, ...]

    def videos_of(self, user):
        """The same for each user, but each begins with another one."""
        first = user % len(self.videos)
        return self.videos[first:] + self.videos[:first]

    @property
    def total(self):
        return self.users * len(self.videos)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("five", "5 users at once", 5, (SAMPLE,) * 4),
        Scenario("row", "20 videos in a row", 1, (SAMPLE,) * 20),
        Scenario("mixed", "Files of 5, 10 and 20 MB", 3, ("5 MB", "10 MB", "20 MB") * 2),
        Scenario("fifty", "50 users, 2 workers", 50, (SAMPLE,)),
    )
}
