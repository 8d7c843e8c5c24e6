"""From a transcript without speakers to one with them, for one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from callscan.diarization.roles import Said, roles, swapped
from callscan.records import Segment, Speaker, Turn


@dataclass(frozen=True, slots=True)
class Named:
    """The segments and turns of a mono call, each with its speaker, and what there is to note about that."""

    segments: tuple[Segment, ...]
    turns: tuple[Turn, ...]
    notes: tuple[str, ...]


def named(said: Sequence[Said], turns: Sequence[Turn], language: str, metadata: Mapping[str, str]) -> Named:
    """Give words and turns their speakers; ``said`` is what each voice says, by time, ``metadata`` the call's row."""
    found = roles(said, language, metadata)
    sides = ", ".join(f"{label} {speaker}" for label, speaker in found.speakers.items())
    return Named(
        tuple(replace(one.segment, speaker=found.of(one.label)) for one in said),
        tuple(replace(turn, speaker=found.of(turn.label)) for turn in turns),
        (f"roles: {sides}, confidence {found.confidence:.3f}",) if sides else (),
    )


def channels_swapped(segments: Sequence[Segment], channels: Sequence[Speaker], language: str) -> tuple[str, ...]:
    """A note where the agent's channel of a stereo call sounds like the customer's; ``channels`` says whose it is."""
    if "agent" not in channels or "customer" not in channels:
        return ()
    said = [Said(segment, str(segment.channel)) for segment in segments]
    agent, customer = channels.index("agent"), channels.index("customer")
    if not swapped(said, str(agent), str(customer), language):
        return ()
    return (f"channels_swapped: what is said on channel {agent} is the customer's, on channel {customer} the agent's",)
