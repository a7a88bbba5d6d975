"""The API server of the embedded cluster: the part of the Kubernetes API that suite and mesh use."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from conformance.clusters.embedded.api import api_resources, reviews, tables
from conformance.clusters.embedded.api.aggregation import Aggregation
from conformance.clusters.embedded.api.api_errors import StatusError, not_implemented
from conformance.clusters.embedded.api.api_resources import BUILT_IN, DEFINITIONS, Resource, custom
from conformance.clusters.embedded.api.auth import Attributes, Tokens, User, allowed
from conformance.clusters.embedded.api.execution import connect, is_websocket_upgrade
from conformance.clusters.embedded.api.object_handlers import ObjectHandlers
from conformance.clusters.embedded.api.object_store import Object, Store
from conformance.clusters.embedded.api.request_path import RequestTarget, find, parse, watches
from conformance.clusters.embedded.api.service_client import Reply, ServiceClient
from conformance.clusters.embedded.api.watch_handler import WatchHandler
from conformance.clusters.embedded.interface import Node, NodeError

_LOG = logging.getLogger(__name__)
_LARGEST_BODY = 32 * 1024 * 1024
_OTHER_LOGS = ("follow", "limitBytes", "previous", "sinceSeconds", "sinceTime", "timestamps")
_HEALTH = ("/healthz", "/livez", "/readyz")


class ApiServer:
    """Authenticates, authorizes and routes requests to their handlers."""

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        handlers: ObjectHandlers,
        watch_handler: WatchHandler,
        aggregation: Aggregation,
        service_client: ServiceClient,
        node: Node,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._handlers = handlers
        self._watch_handler = watch_handler
        self._aggregation = aggregation
        self._service_client = service_client
        self._node = node

    def application(self) -> web.Application:
        """The web application, for one or more sockets."""
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._respond(request)
        except StatusError as error:
            return web.json_response(error.document(), status=error.status)
        except NodeError as error:
            return web.json_response(StatusError(404, str(error)).document(), status=404)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # Not 422: an object that this server cannot handle may be valid, and must not count as rejected.
            _LOG.warning("%s %s", request.method, request.path, exc_info=error)
            problem = StatusError(500, f"the embedded cluster cannot handle this request: {error!r}")
            return web.json_response(problem.document(), status=problem.status)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        target = parse(request.path)
        if target is None or not target.plural:
            self._authorize(user, Attributes("get", path=request.path))
            if target is not None and (api_service := self._aggregation.find(target.group, target.version)):
                return await self._forward(request, user, api_service)
            return web.json_response(self._discovery(request.path, target))
        # First, as in Kubernetes: a request that RBAC denies never reaches an aggregated API.
        self._authorize(user, target.attributes(request.method, request.query))
        api_service = self._aggregation.find(target.group, target.version)
        if api_service is not None:
            return await self._forward(request, user, api_service)
        resource = find(self._resources(), target)
        if watches(request.query) and request.method == "GET":
            return await self._watch_handler.stream(request, resource, target)
        if target.subresource not in ("", "status"):
            return await self._subresource(request, target)
        if target.subresource and target.subresource not in resource.subresources:
            raise StatusError(404, "the server could not find the requested resource")
        if resource.verbs == ("create",):
            return web.json_response(self._review(resource, user, await _body(request)), status=201)
        return await self._verb(request, resource, target)

    def _user(self, request: web.Request) -> User:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        user = self._tokens.user(token.strip()) if kind.lower() == "bearer" else None
        if user is None:
            raise StatusError(401, "Unauthorized")
        return user

    def _authorize(self, user: User, wanted: Attributes) -> None:
        if not allowed(self._store, user, wanted):
            what = f'{wanted.resource} "{wanted.name}"' if wanted.name else wanted.resource or "path"
            raise StatusError(403, f'{what} is forbidden: User "{user.name}" {wanted}')

    def _resources(self) -> list[Resource]:
        definitions = self._store.list(DEFINITIONS)
        return [*BUILT_IN, *(each for definition in definitions for each in custom(definition))]

    def _discovery(self, path: str, target: RequestTarget | None) -> Any:
        resources = self._resources()
        if target is not None:
            found = [
                each for each in resources if (each.group, each.version) == (target.group, target.version)
            ]
            if not found:
                raise StatusError(404, "the server could not find the requested resource")
            return api_resources.resource_list(found[0].api_version, found)
        groups = api_resources.groups(resources, self._aggregation.served())
        match path.strip("/").split("/"):
            case ["api"]:
                return {"kind": "APIVersions", "versions": ["v1"]}
            case ["apis"]:
                listed = [api_resources.group_document(name, versions) for name, versions in groups.items()]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
            case ["apis", group] if group in groups:
                return api_resources.group_document(group, groups[group])
            case ["version"]:
                return {
                    "major": "1",
                    "minor": "34",
                    "gitVersion": f"{api_resources.VERSION}-embedded",
                    "platform": "linux",
                }
        if path.rstrip("/") in _HEALTH:
            return "ok"
        raise StatusError(404, "the server could not find the requested resource")

    async def _forward(self, request: web.Request, user: User, api_service: Any) -> web.Response:
        body = await request.read()
        reply = await self._aggregation.forward(
            api_service, user, request.method, str(request.rel_url), request.headers, body
        )
        return _reply(reply)

    def _review(self, resource: Resource, user: User, body: Any) -> Any:
        if not isinstance(body, dict):
            raise StatusError(400, "the body is not an object")
        answers: dict[str, Callable[[], Any]] = {
            "TokenReview": lambda: reviews.token_review(self._tokens, body),
            "SubjectAccessReview": lambda: reviews.access_review(self._store, body),
            "SelfSubjectAccessReview": lambda: reviews.access_review(self._store, body, user),
        }
        return answers[resource.kind]()

    async def _verb(self, request: web.Request, resource: Resource, target: RequestTarget) -> web.Response:
        dry = request.query.get("dryRun") == "All"
        match request.method, bool(target.name):
            case "GET", named:
                return web.json_response(await self._read(request, resource, target, named=named))
            case "POST", False:
                created = await self._handlers.create(resource, target, await _body(request), dry=dry)
                return web.json_response(created, status=201)
            case "PUT", True:
                body = await _body(request)
                return web.json_response(await self._handlers.update(resource, target, body, dry=dry))
            case "PATCH", True:
                text = await request.text()
                kind = request.headers.get("Content-Type", "")
                changed, new = await self._handlers.patch(resource, target, kind, text, request.query)
                return web.json_response(changed, status=201 if new else 200)
            case "DELETE", True:
                body = await _body(request)
                return web.json_response(await self._handlers.delete(resource, target, body, request.query))
            case "DELETE", False:
                body = await _body(request)
                return web.json_response(
                    await self._handlers.delete_all(resource, target, body, request.query)
                )
        raise StatusError(405, "the server does not allow this method on the requested resource")

    async def _read(
        self, request: web.Request, resource: Resource, target: RequestTarget, *, named: bool
    ) -> Object:
        if named:
            answer = await self._handlers.get(resource, target)
            items, version = [answer], str(answer["metadata"]["resourceVersion"])
        else:
            answer = await self._handlers.list(resource, target, request.query)
            items, version = answer["items"], str(answer["metadata"]["resourceVersion"])
        if not tables.wanted(request.headers.get("Accept", "")):
            return answer
        definition = self._store.find(DEFINITIONS, "", resource.key)
        return tables.table(items, tables.columns(definition, resource.version), version)

    async def _subresource(self, request: web.Request, target: RequestTarget) -> web.StreamResponse:
        match target.plural, target.subresource, request.method:
            case "pods", "log", "GET":
                return self._log(request, target)
            case "pods", "exec", _:
                return await self._execute(request, target)
            case "serviceaccounts", "token", "POST":
                account = self._store.get("serviceaccounts", target.namespace, target.name)
                answer = reviews.token_request(self._tokens, account, await _body(request))
                return web.json_response(answer, status=201)
            case "services", "proxy", _:
                return await self._proxy(request, target)
        raise not_implemented(f"{request.method} {target.plural}/{target.subresource}")

    def _log(self, request: web.Request, target: RequestTarget) -> web.Response:
        self._store.get("pods", target.namespace, target.name)
        if other := sorted(name for name in _OTHER_LOGS if request.query.get(name, "false") != "false"):
            raise not_implemented(f"logs with {', '.join(other)}")
        tail = request.query.get("tailLines")
        container = request.query.get("container") or self._only_container(target)
        lines = None if tail is None else int(tail)
        return web.Response(text=self._node.logs(target.namespace, target.name, container, tail=lines))

    def _only_container(self, target: RequestTarget) -> str:
        pod = self._store.get("pods", target.namespace, target.name)
        return str(pod["spec"]["containers"][0]["name"])

    async def _execute(self, request: web.Request, target: RequestTarget) -> web.StreamResponse:
        self._store.get("pods", target.namespace, target.name)
        if request.query.get("tty") in ("1", "true"):
            raise not_implemented("terminals in containers")
        if not is_websocket_upgrade(request):
            raise StatusError(400, "Upgrade request required")
        container = request.query.get("container") or self._only_container(target)
        command = request.query.getall("command", [])
        if not command:
            raise StatusError(400, "you must specify at least one command for the container")
        process = await self._node.execute(target.namespace, target.name, container, command)
        return await connect(request, process)

    async def _proxy(self, request: web.Request, target: RequestTarget) -> web.Response:
        parts = target.name.split(":")
        scheme, name, port = (
            ("http", *parts) if len(parts) == 2 else (parts if len(parts) == 3 else ("", "", ""))
        )
        if not name or not port:
            raise not_implemented("a service proxy without scheme and port (https:NAME:PORT)")
        query = f"?{request.rel_url.raw_query_string}" if request.query else ""
        reply = await self._service_client.request(
            request.method,
            (target.namespace, name, int(port) if port.isdecimal() else port),
            f"/{target.rest}{query}",
            tls=scheme == "https",
            body=await request.read() or None,
        )
        return _reply(reply)


def _reply(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, headers=reply.headers, body=reply.body)


async def _body(request: web.Request) -> Any:
    text = await request.text()
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise StatusError(400, f"the body is not JSON: {error}") from error
