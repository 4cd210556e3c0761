"""`memdb calibrate`: a sizing profile from measurement."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.arguments import OnServer, count
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, print_json, say
from memdb.cli.planned import ShapeOptions
from memdb.cluster.client import open_for_work
from memdb.errors import BadInput
from memdb.settings import Settings
from memdb.sizing import calibrate as fitting
from memdb.sizing import profiles
from memdb.sizing.calibrate import HeldOut
from memdb.sizing.model import Profile


@dataclass(frozen=True, kw_only=True)
class Calibrate(ShapeOptions, OnServer):
    """`memdb calibrate`."""

    name: str = option(
        "--name",
        default="",
        metavar="NAME",
        help="of the profile (default: live-INDEX, or samples- with dimension and M)",
    )
    index: str = option("--index", default="", metavar="NAME", help="an index that is there; only read")
    docs: int = option("--docs", default=4_096, type=count(1), metavar="N", help="of the largest sample")
    seed: int = option("--seed", default=0, type=count(0), metavar="N", help="of the samples")
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Fit a profile to an index, or to growing samples of a shape on a local engine; keep it.

        Raises:
            BadInput: an index and a shape are given, or neither.
            MemDBError: a server does not answer, or the profile cannot be kept.
        """
        settings = Settings.from_env()
        if self.index and self.dim is not None:
            raise BadInput(
                "Both --index and --dim are given.", "Calibrate on an index, or on samples of a shape."
            )
        if not self.index and self.dim is None:
            raise BadInput("There is nothing to calibrate on.", "Give --index NAME, or --dim N for samples.")
        profile: Profile
        about: dict[str, object]
        with ProgressBar() as bar:
            if self.index:
                with open_for_work(self.find(settings)) as client:
                    read = fitting.from_index(client, self.index, self.name, report=bar.report)
                profile, held_out = read.profile, read.held_out
                notes = read.notes
                about = {"keys_sampled": read.keys_sampled, "notes": list(notes)}
            else:
                grown = fitting.from_samples(
                    self.shape(1), settings, self.name, documents=self.docs, seed=self.seed, report=bar.report
                )
                profile, held_out = grown.profile, grown.held_out
                notes = (held_out.sentence,)
                about = {
                    "measured": [
                        {"documents": m.shape.vectors, "bytes": round(m.total_bytes)} for m in grown.measured
                    ],
                }
        path = profiles.save(profile, settings.home)
        if self.json:
            print_json({"profile": profile.name, **_about(profile), "held_out": _judged(held_out), **about})
            return 0
        say(f"{profile.title}: {profile.source}.")
        say(
            f"Documents take {profile.keyspace_factor:.3f} and the index {profile.index_factor:.3f} of what "
            f"the built-in profile says; interval {profile.low - 1:+.1%} to {profile.high - 1:+.1%}."
        )
        for text in notes:
            say(text)
        say(f"Kept in {path}. Use it: memdb size --profile {profile.name} …")
        return 0


def _judged(held_out: HeldOut) -> dict[str, object]:
    return {
        "keys": held_out.keys,
        "built_in_error": round(held_out.built_in, 5),
        "calibrated_error": round(held_out.calibrated, 5),
        "kept": "calibrated" if held_out.better else "built-in",
    }


def _about(profile: Profile) -> dict[str, object]:
    return {
        "engine": profile.engine,
        "source": profile.source,
        "keyspace_factor": round(profile.keyspace_factor, 5),
        "index_factor": round(profile.index_factor, 5),
        "interval": [round(profile.low, 4), round(profile.high, 4)],
        "calibrated": profile.calibrated,
        "samples": profile.samples,
    }
