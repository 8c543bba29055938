"""The small parts that Grafana panels are made of: colours, thresholds, mappings, links, queries."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common, dashboard

from boards.definition import Link, Meaning, Named, Zones
from boards.palette import MIDDLE, SERIES_MIDDLE
from boards.texts import translate

DATASOURCE_TYPE: Final = "grafana-postgresql-datasource"
_LONGEST_UID: Final = 40
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tenant's boards live in a Grafana: ``prefix`` of every uid, the folder's title, the texts' language.

    ``until`` (Grafana's or an ISO time): the end of the time range when a board is opened.
    """

    prefix: str
    title: str
    language: str = "en"
    until: str = "now"

    def uid(self, *parts: str) -> str:
        """Stable, at most 40 characters, only letters, digits, ``-`` and ``_``."""
        uid = "-".join((self.prefix, *parts))
        if len(uid) > _LONGEST_UID or not re.fullmatch(r"[A-Za-z0-9_-]+", uid):
            uid = f"servitize-{zlib.crc32(uid.encode()):08x}-{parts[-1] if parts else 'root'}"[:_LONGEST_UID]
        return uid

    @property
    def datasource(self) -> dashboard.DataSourceRef:
        return dashboard.DataSourceRef(type_val=DATASOURCE_TYPE, uid=self.uid("data"))

    def text(self, text: str) -> str:
        return translate(text, self.language)


class Made(cogbuilder.Builder[T], Generic[T]):
    """What is built already, where the SDK asks for a builder."""

    def __init__(self, made: T) -> None:
        self._made = made

    def build(self) -> T:
        return self._made


@dataclass(frozen=True, slots=True)
class SqlQuery(variants.Dataquery):
    """A query of the PostgreSQL data source, for which the SDK has no class."""

    sql: str
    datasource: dashboard.DataSourceRef
    ref_id: str = "A"

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref_id,
            "datasource": self.datasource,
            "editorMode": "code",
            "format": "table",
            "rawQuery": True,
            "rawSql": self.sql,
        }


def panel_id(key: str) -> int:
    """Of a panel's key: stays where panels come and go beside it, so that links to it stay valid."""
    return zlib.crc32(key.encode()) % 1_000_000 + 1


def colour(meaning: Meaning) -> str:
    return MIDDLE[meaning]


def series_colour(n: int) -> str:
    return SERIES_MIDDLE[n % len(SERIES_MIDDLE)]


def thresholds(zones: Zones, neutral: str = "") -> dashboard.ThresholdsConfig:
    """``neutral``: the colour of what says nothing, where the palette's would be too loud."""

    def paint(meaning: Meaning) -> str:
        return neutral if neutral and meaning is Meaning.NEUTRAL else colour(meaning)

    steps = [dashboard.Threshold(value=None, color=paint(zones.below))]
    steps += [dashboard.Threshold(value=start, color=paint(meaning)) for start, meaning in zones.steps]
    return dashboard.ThresholdsConfig(mode=dashboard.ThresholdsMode.ABSOLUTE, steps=steps)


def lines(limits: Sequence[tuple[float, Meaning]]) -> dashboard.ThresholdsConfig:
    """Thresholds that are drawn as lines: below the first nothing is coloured."""
    steps = [dashboard.Threshold(value=None, color="transparent")]
    steps += [dashboard.Threshold(value=value, color=colour(meaning)) for value, meaning in sorted(limits)]
    return dashboard.ThresholdsConfig(mode=dashboard.ThresholdsMode.ABSOLUTE, steps=steps)


def mapping(place: Place, values: Mapping[str, Named]) -> dashboard.ValueMap:
    return dashboard.ValueMap(
        options={
            word: dashboard.ValueMappingResult(
                text=place.text(named.text),
                color=None if named.meaning is Meaning.NEUTRAL else colour(named.meaning),
                index=i,
            )
            for i, (word, named) in enumerate(values.items())
        }
    )


def fixed(meaning: Meaning) -> dashboard.FieldColor:
    return fixed_colour(colour(meaning))


def fixed_colour(hexadecimal: str) -> dashboard.FieldColor:
    return dashboard.FieldColor(mode=dashboard.FieldColorModeId.FIXED, fixed_color=hexadecimal)


def by_thresholds() -> dashboard.FieldColor:
    return dashboard.FieldColor(mode=dashboard.FieldColorModeId.THRESHOLDS)


def setting(name: str, value: Any) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val=name, value=value)


def transformation(name: str, **options: Any) -> dashboard.DataTransformerConfig:
    return dashboard.DataTransformerConfig(id_val=name, options=options)


def coloured_cell() -> Mapping[str, object]:
    return common.TableColoredBackgroundCellOptions(mode=common.TableCellBackgroundDisplayMode.BASIC).to_json()


def url(place: Place, link: Link) -> str:
    """Address of another board; values of the row clicked, or of this board's variables, go along, and the time."""
    parts = [f"/d/{place.uid(link.board)}?${{__url_time_range}}"]
    for variable, source in sorted(link.variables.items()):
        value = (
            f"${{{source[1:]}:percentencode}}"
            if source.startswith("$")
            else f"${{__data.fields.{source}:percentencode}}"
        )
        parts.append(f"var-{variable}={value}")
    return "&".join(parts)


def data_link(place: Place, link: Link) -> dict[str, object]:
    """A link in a cell. (The SDK's class is that of a dashboard's own links.)"""
    return {"title": place.text(link.title) if link.title else "", "url": url(place, link)}


def menu(place: Place) -> build.DashboardLink:
    """Every board of the tenant, in each board's header."""
    return (
        build.DashboardLink(place.text("Boards"))
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([place.prefix])
        .as_dropdown(True)
        .keep_time(True)
        .icon("external link")
        .tooltip("")
        .url("")
    )
