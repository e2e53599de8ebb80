"""Writes docs/asyncapi.yaml, the contract of all topics, from the message models: ``python -m service.asyncapi``.

With ``-`` as its argument it prints the contract instead.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from adapters.kafka.cloud_events import CommandRecords, Envelope, MetricsReportedRecord, RoutesReportedRecord, type_name
from adapters.kafka.desired_routes import DesiredRoute
from adapters.kafka.published import PublishedEvent
from adapters.kafka.refusals import RefusalCode
from adapters.kafka.topics import Topics
from domain.errors import RejectionCode
from domain.registry import EVENT_TYPES

#: Where the contract is kept.
CONTRACT: Final = Path(__file__).parents[1] / "docs" / "asyncapi.yaml"

Document = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_CLOUD_EVENT = "application/cloudevents+json"
_KAFKA_BINDING = {"bindingVersion": "0.5.0"}
_INCOMING: Mapping[str, Sequence[type[Envelope]]] = {
    "commands": get_args(CommandRecords),
    "routes": [RoutesReportedRecord],
    "metrics": [MetricsReportedRecord],
}

_DESCRIPTION = """\
What Routekeeper reads from Kafka and what it writes there. All JSON is CloudEvents 1.0 in structured mode, but for the
desired routes.

Key: the key of every record is an id as canonical lower-case UUID text, the deployment's unless the channel says
otherwise. Partitioner: Kafka's default, murmur2 of the key; clients on librdkafka must set partitioner=murmur2_random.
The three input topics have the same number of partitions.

Delivery: commands are known by source and id; sent again, even with a new offset, they have no second effect. Events
and desired routes are published at least once and in order per key; the headers incarnation, position and version
tell what was seen.
"""
_ABOUT = {
    "commands": "What people and programs ask of deployments, and pauses of effects.",
    "routes": "What is reported by whatever runs the replicas: an observation that changes what is known, or nothing.",
    "metrics": "Measurements that scaling rules are held against.",
    "events": "Everything that happened, in order per deployment.",
    "desiredRoutes": "What each route should be, keyed by route id; a record without value says that it is over.",
    "deadLetters": "Records that were refused, key and value as they came; the headers say why.",
}


def contract(topics: Topics) -> Document:
    """The AsyncAPI 3 document for topics of the given names."""
    messages = _incoming_messages() | _event_messages() | _other_messages()
    names = {channel: [type_name(record) for record in records] for channel, records in _INCOMING.items()}
    names |= {"events": list(EVENT_TYPES), "desiredRoutes": ["desired-route"], "deadLetters": ["dead-letter"]}
    addresses = dict(
        zip(_ABOUT, (*topics.inputs, topics.events, topics.desired_routes, topics.dead_letters), strict=True)
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Routekeeper",
            "version": "1.0.0",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": _CLOUD_EVENT,
        "channels": {
            channel: _channel(address, _ABOUT[channel], names[channel], topics)
            for channel, address in addresses.items()
        },
        "operations": {
            ("read" if channel in _INCOMING else "publish") + channel[0].upper() + channel[1:]: {
                "action": "receive" if channel in _INCOMING else "send",
                "channel": {"$ref": f"#/channels/{channel}"},
                "summary": _ABOUT[channel],
                "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names[channel]],
            }
            for channel in addresses
        },
        "components": {"messages": messages, "schemas": _schemas()},
    }


def _channel(address: str, about: str, names: Sequence[str], topics: Topics) -> Document:
    kafka: Document = {"topic": address, "partitions": topics.partitions, "replicas": topics.replication_factor}
    if topics.configuration(address).get("cleanup.policy") == "compact":
        kafka["topicConfiguration"] = {"cleanup.policy": ["compact"]}
    return {
        "address": address,
        "description": about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": {**kafka, **_KAFKA_BINDING}},
    }


def _message(name: str, summary: str | None, payload: Document, **more: object) -> Document:
    key = {"type": "string", "format": "uuid", "description": "Lower-case text; places the record by murmur2."}
    return {
        "name": name,
        "summary": (summary or name).split("\n\n")[0].replace("\n", " "),
        "contentType": _CLOUD_EVENT,
        "payload": payload,
        "bindings": {"kafka": {"key": key, **_KAFKA_BINDING}},
        **more,
    }


def _incoming_messages() -> Document:
    return {
        type_name(record): _message(type_name(record), record.__doc__, {"$ref": _SCHEMAS + record.__name__})
        for records in _INCOMING.values()
        for record in records
    }


def _event_messages() -> Document:
    return {
        name: _message(
            name,
            event.__doc__,
            {
                "allOf": [
                    {"$ref": _SCHEMAS + PublishedEvent.__name__},
                    {
                        "type": "object",
                        "properties": {
                            "type": {"const": name},
                            "data": {"type": "object", "properties": {"event": {"$ref": _SCHEMAS + event.__name__}}},
                        },
                    },
                ]
            },
            headers={"$ref": _SCHEMAS + "PlaceHeaders"},
        )
        for name, event in EVENT_TYPES.items()
    }


def _other_messages() -> Document:
    tombstone = {"oneOf": [{"$ref": _SCHEMAS + DesiredRoute.__name__}, {"type": "null"}]}
    raw = {"description": "The bytes that were refused, possibly cut to their beginning; they need not be JSON."}
    refused = _message("dead-letter", _ABOUT["deadLetters"], raw, headers={"$ref": _SCHEMAS + "DeadLetterHeaders"})
    refused["contentType"] = "application/octet-stream"
    refused["bindings"]["kafka"]["key"] = {"description": "The key as it came, if there was one."}
    desired = _message("desired-route", DesiredRoute.__doc__, tombstone, headers={"$ref": _SCHEMAS + "PlaceHeaders"})
    desired["contentType"] = "application/json"
    return {"desired-route": desired, "dead-letter": refused}


def _schemas() -> Document:
    models: list[type[BaseModel]] = [record for records in _INCOMING.values() for record in records]
    written: list[type[BaseModel]] = [*EVENT_TYPES.values(), PublishedEvent, DesiredRoute]
    _, document = models_json_schema(
        [*((model, "validation") for model in models), *((model, "serialization") for model in written)],
        ref_template=_SCHEMAS + "{model}",
    )
    headers = {"PlaceHeaders": _PLACE_HEADERS, "DeadLetterHeaders": _DEAD_LETTER_HEADERS}
    return {name: _without_discriminators(schema) for name, schema in sorted(document["$defs"].items())} | headers


def _without_discriminators(schema: Any) -> Any:  # noqa: ANN401 - any part of a JSON schema
    """AsyncAPI's ``discriminator`` is not OpenAPI's, which pydantic writes; the union says the same without it."""
    visit: Callable[[Any], Any] = _without_discriminators
    if isinstance(schema, dict):
        is_union = "oneOf" in schema
        return {name: visit(part) for name, part in schema.items() if not (is_union and name == "discriminator")}
    return [visit(part) for part in schema] if isinstance(schema, list) else schema


def _headers(required: Mapping[str, str], optional: Mapping[str, str]) -> Document:
    texts = {name: {"type": "string", "description": about} for name, about in {**required, **optional}.items()}
    return {"type": "object", "properties": texts, "required": list(required)}


_PLACE_HEADERS = _headers(
    {
        "position": "Where the event stands in the whole log: a decimal number that only grows.",
        "version": "Which event of its stream it is, counted from 1; ignore what is not newer than what was seen.",
        "incarnation": "Which incarnation of the log it is published from, counted from 1; a higher one is newer.",
    },
    {"content-type": "That this is a CloudEvent in structured mode."},
)
_DEAD_LETTER_HEADERS = _headers(
    {
        "origin-topic": "The topic that the record stood in.",
        "origin-epoch": "The incarnation of that topic.",
        "origin-partition": "The partition that it stood in.",
        "origin-offset": "The offset that it had.",
        "refusal-code": "Why it was refused: " + ", ".join(sorted([*RefusalCode, *RejectionCode])) + ".",
        "refusal-field": "The dotted path of the part at fault; empty for the record as a whole.",
        "refusal-value": "What that part held, as JSON, cut to 100 characters.",
        "refusal-reason": "The same in words.",
    },
    {"original-length": "How many bytes the value had, where it was too large to be kept as a whole."},
)


class _ReadableDumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_ReadableDumper.add_representer(str, _ReadableDumper.represent_text)


def render(document: Document) -> str:
    """The document as YAML, the same for the same document."""
    heading = "# Written from the message models by `make asyncapi`; a test holds the two together.\n"
    return heading + yaml.dump(document, Dumper=_ReadableDumper, sort_keys=False, allow_unicode=True, width=120)


def main(arguments: Sequence[str]) -> None:
    """Write the contract to its place, or print it."""
    text = render(contract(Topics()))
    if list(arguments) == ["-"]:
        sys.stdout.write(text)
    else:
        CONTRACT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
