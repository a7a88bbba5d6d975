"""How an API server is reached: what a kubeconfig says of it, and by which proxy, as kubectl has it."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import kubernetes
import requests.utils
import urllib3
import yaml
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger
from requests.adapters import HTTPAdapter

from conformance.clusters import ClusterError
from conformance.near import meant

_CONNECTIONS = 16
_BYPASSED = "http://bypassed.invalid:1"
"""Stands where there is no proxy, beside `no_proxy`: the exec channel takes the environment's otherwise."""


def configured(context: str | None, kubeconfig: str | None) -> tuple[kubernetes.client.Configuration, str]:
    """What a kubeconfig says of a context, the current one by default, and the context's name.

    ``proxy`` is the proxy that is to be used, if any: the kubeconfig's own (``proxy-url``), or else the
    environment's. Raises ClusterError, in one line.
    """
    configuration = kubernetes.client.Configuration()
    # The client takes it from the environment, whatever that says of hosts without one.
    configuration.proxy = None
    try:
        with _heard() as complaints:
            kubernetes.config.load_kube_config(kubeconfig, context, configuration)
        name = context or _current_context(kubeconfig)
        _check_user(kubeconfig, name, complaints)
    except (ConfigException, yaml.YAMLError) as error:
        raise ClusterError(_problem(context, kubeconfig, error)) from error
    except OSError as error:
        raise ClusterError(f"cannot read the kubeconfig: {error}") from error
    if not configuration.verify_ssl:
        # The user has decided that, and is told so once.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    configuration.proxy = configuration.proxy or environment_proxy(configuration.host)
    return configuration if configuration.proxy else directly(configuration), name


def at(url: str, token: str) -> kubernetes.client.Configuration:
    """An API server of this machine that knows a bearer token; no proxy is in between."""
    configuration = kubernetes.client.Configuration(host=url)
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return directly(configuration)


def directly(configuration: kubernetes.client.Configuration) -> kubernetes.client.Configuration:
    """Use no proxy, also where the environment names one."""
    configuration.proxy = _BYPASSED
    configuration.no_proxy = urlsplit(configuration.host).hostname
    return configuration


def proxies(configuration: kubernetes.client.Configuration) -> dict[str, str]:
    """The proxies of requests, by scheme; none where the server is reached without."""
    proxy = configuration.proxy
    return {} if proxy == _BYPASSED else {"http": str(proxy), "https": str(proxy)}


def environment_proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).

    This machine itself is never reached by one. Source: golang.org/x/net/http/httpproxy, which kubectl uses.
    """
    if is_loopback(urlsplit(url).hostname or "") or requests.utils.should_bypass_proxies(url, no_proxy=None):
        return None
    found = requests.utils.select_proxy(url, getproxies())
    return None if found is None else str(found)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is one of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Adapter(HTTPAdapter):
    """Kept connections for all threads; ``server_name``: whom the server's certificate has to be for."""

    def __init__(self, server_name: str | None) -> None:
        named: dict[str, Any] = {"server_hostname": server_name, "assert_hostname": server_name}
        self._verified = named if server_name else {}
        super().__init__(pool_maxsize=_CONNECTIONS, pool_block=True)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options, **self._verified)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, **self._verified)


class _Complaints(logging.Handler):
    """What was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(" ".join(record.getMessage().split()))


@contextmanager
def _heard() -> Iterator[list[str]]:
    # The client goes on without credentials where a plugin fails, and says so in the log alone.
    heard = _Complaints()
    logging.getLogger().addHandler(heard)
    try:
        yield heard.texts
    finally:
        logging.getLogger().removeHandler(heard)


def _check_user(kubeconfig: str | None, context: str, complaints: Sequence[str]) -> None:
    """Raises ConfigException where a context's user is not there, or its plugin gave no credentials."""
    merged = KubeConfigMerger(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION).config
    named = merged["contexts"].get_with_name(context)["context"].safe_get("user")
    if not named:
        return
    user = merged["users"].get_with_name(named, safe=True)
    if user is None:
        raise ConfigException(f"there is no user {named!r}")
    if complaints and "exec" in user["user"]:
        command = user["user"]["exec"].safe_get("command")
        raise ConfigException(f"{command} gives no credentials: {'; '.join(complaints)}")


def _current_context(kubeconfig: str | None) -> str:
    _, current = kubernetes.config.list_kube_config_contexts(config_file=kubeconfig)
    return str(current["name"])


def _problem(context: str | None, kubeconfig: str | None, error: Exception) -> str:
    said = " ".join(str(error).split())
    try:
        contexts, current = kubernetes.config.list_kube_config_contexts(config_file=kubeconfig)
    except (ConfigException, OSError, yaml.YAMLError):
        return (
            "no usable kubeconfig: set KUBECONFIG or --kubeconfig, or create a cluster with `make kind-up`"
            f" ({said})"
        )
    there = [entry["name"] for entry in contexts]
    wanted = context or (current or {}).get("name")
    if wanted in there:
        return f"context {wanted!r} of the kubeconfig cannot be used: {said}"
    hint = meant(str(context), there) if there else ", nor any other"
    return f"no context {context!r} in the kubeconfig{hint}"
