"""How an API server is reached: what a kubeconfig says of it, and by which proxy, as kubectl has it."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import kubernetes
import requests.utils
import urllib3
import yaml
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes.config.kube_config import KubeConfigMerger
from requests.adapters import HTTPAdapter

from conformance.clusters import ClusterError
from conformance.text.suggest import did_you_mean

USUAL = "~/.kube/config"
"""Where a kubeconfig is unless KUBECONFIG or an option names another place."""
_CONNECTIONS = 16
_BYPASSED = "http://bypassed.invalid:1"
"""Stands where there is no proxy, beside `no_proxy`: the exec channel takes the environment's otherwise."""


def configured(context: str | None, kubeconfig: str | None) -> tuple[kubernetes.client.Configuration, str]:
    """What a kubeconfig says of a context, the current one by default, and the context's name.

    ``proxy`` is the proxy that is to be used, if any: the kubeconfig's own (``proxy-url``), or else the
    environment's. Raises ClusterError, in one line.
    """
    configuration = _without_proxy()
    location = kubeconfig or os.environ.get("KUBECONFIG") or USUAL
    try:
        with _heard() as complaints:
            name = context or _current_context(location) or ""
            kubernetes.config.load_kube_config(location, name or None, configuration)
        token_file = _checked_user(location, name, complaints)
    except (ConfigException, yaml.YAMLError) as error:
        raise ClusterError(_problem(context, location, error)) from error
    except OSError as error:
        raise ClusterError(f"cannot read the kubeconfig: {error}") from error
    if not configuration.verify_ssl:
        # The user has decided that, and is told so once.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if token_file is not None:
        _read_anew(configuration, token_file)
    return _by_its_proxy(configuration), name


def in_a_pod(environment: Mapping[str, str]) -> bool:
    """Whether this is a container of a pod that has a ServiceAccount's token."""
    return bool(environment.get(SERVICE_HOST_ENV_NAME)) and Path(SERVICE_TOKEN_FILENAME).is_file()


def of_this_pod() -> kubernetes.client.Configuration:
    """The cluster that this process is a pod of, with the rights of the pod's ServiceAccount.

    Raises ClusterError, in one line.
    """
    configuration = _without_proxy()
    try:
        InClusterConfigLoader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        where = f"{SERVICE_HOST_ENV_NAME}, {SERVICE_TOKEN_FILENAME} and {SERVICE_CERT_FILENAME}"
        raise ClusterError(
            f"--in-cluster is for a pod with a ServiceAccount's token: {error} (looked at: {where})"
        ) from error
    return _by_its_proxy(configuration)


def _without_proxy() -> kubernetes.client.Configuration:
    configuration = kubernetes.client.Configuration()
    # The client takes it from the environment, whatever that says of hosts without one.
    configuration.proxy = None
    return configuration


def _by_its_proxy(configuration: kubernetes.client.Configuration) -> kubernetes.client.Configuration:
    configuration.proxy = configuration.proxy or environment_proxy(configuration.host)
    return configuration if configuration.proxy else directly(configuration)


def _read_anew(configuration: kubernetes.client.Configuration, path: Path) -> None:
    """Take the token from its file whenever it is sent: whoever wrote it there writes others as they expire.

    It comes before one that stands in the kubeconfig itself. Source: client-go, tools/clientcmd/api/types.go,
    AuthInfo.TokenFile.
    """

    def refresh(of: kubernetes.client.Configuration) -> None:
        try:
            token = path.read_text(encoding="utf-8").strip()
        except OSError:
            # Between two of them: the last is as good as any.
            return
        # The key that it is kept under is another in each client.
        for key in of.api_key:
            of.api_key[key] = f"Bearer {token}"

    refresh(configuration)
    configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]


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


def _checked_user(location: str, context: str, complaints: Sequence[str]) -> Path | None:
    """The file that the token of a context's user is in, if it is in one.

    Raises ConfigException where that user is not there, or its plugin gave no credentials.
    """
    merged = KubeConfigMerger(location).config
    named = merged["contexts"].get_with_name(context)["context"].safe_get("user")
    if not named:
        return None
    user = merged["users"].get_with_name(named, safe=True)
    if user is None:
        raise ConfigException(f"there is no user {named!r}")
    if complaints and "exec" in user["user"]:
        command = user["user"]["exec"].safe_get("command")
        raise ConfigException(f"{command} gives no credentials: {'; '.join(complaints)}")
    token_file = user["user"].safe_get("tokenFile")
    return Path(user.path).parent / token_file if token_file else None


def _current_context(location: str) -> str | None:
    """Of several files, the first that names one decides, as with kubectl; None where none does."""
    contents = KubeConfigMerger(location).config_files.values()
    return next((str(one["current-context"]) for one in contents if one.get("current-context")), None)


def _problem(context: str | None, location: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    try:
        there = [str(entry["name"]) for entry in KubeConfigMerger(location).config["contexts"].value]
        wanted = context or _current_context(location)
    except (ConfigException, OSError, TypeError, yaml.YAMLError):
        there = []
    if not there:
        return (
            "no usable kubeconfig: set KUBECONFIG or --kubeconfig, or create a cluster with `make kind-up`"
            f" ({said})"
        )
    if wanted in there:
        return f"context {wanted!r} of the kubeconfig cannot be used: {said}"
    if wanted is None:
        return f"the kubeconfig has no current context: name one by --context; there are: {', '.join(there)}"
    return f"no context {wanted!r} in the kubeconfig{did_you_mean(wanted, there)}"
