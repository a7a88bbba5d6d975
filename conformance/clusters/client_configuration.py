"""Client configurations: from a kubeconfig or a ServiceAccount, with the same proxies as kubectl."""

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

DEFAULT_KUBECONFIG = "~/.kube/config"
"""The kubeconfig unless KUBECONFIG or an option names another."""
_CONNECTIONS = 16
_BYPASSED = "http://bypassed.invalid:1"
"""Placeholder for no proxy, with `no_proxy`: otherwise the exec channel would use the environment's proxy."""


def from_kubeconfig(
    context: str | None, kubeconfig: str | None
) -> tuple[kubernetes.client.Configuration, str]:
    """The configuration of a context, by default the current context, and the context's name.

    ``proxy`` is the kubeconfig's own (``proxy-url``), else the environment's, if any. Raises ClusterError,
    with a message of one line.
    """
    configuration = _new_configuration()
    location = kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG
    try:
        with _logged_errors() as logged_errors:
            name = context or _current_context(location) or ""
            kubernetes.config.load_kube_config(location, name or None, configuration)
        token_file = _checked_user(location, name, logged_errors)
    except (ConfigException, yaml.YAMLError) as error:
        raise ClusterError(_problem(context, location, error)) from error
    except OSError as error:
        raise ClusterError(f"cannot read the kubeconfig: {error}") from error
    if not configuration.verify_ssl:
        # The user's decision; `selection` warns once.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if token_file is not None:
        _reload_token(configuration, token_file)
    return _with_proxy(configuration), name


def in_a_pod(environment: Mapping[str, str]) -> bool:
    """Whether this process runs in a pod with a ServiceAccount token."""
    return bool(environment.get(SERVICE_HOST_ENV_NAME)) and Path(SERVICE_TOKEN_FILENAME).is_file()


def from_service_account() -> kubernetes.client.Configuration:
    """The cluster that this process's pod belongs to, with the rights of the pod's ServiceAccount.

    Raises ClusterError, with a message of one line.
    """
    configuration = _new_configuration()
    try:
        InClusterConfigLoader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        where = f"{SERVICE_HOST_ENV_NAME}, {SERVICE_TOKEN_FILENAME} and {SERVICE_CERT_FILENAME}"
        raise ClusterError(
            f"--in-cluster is for a pod with a ServiceAccount's token: {error} (looked at: {where})"
        ) from error
    return _with_proxy(configuration)


def _new_configuration() -> kubernetes.client.Configuration:
    configuration = kubernetes.client.Configuration()
    # The client reads the environment's proxy but ignores NO_PROXY.
    configuration.proxy = None
    return configuration


def _with_proxy(configuration: kubernetes.client.Configuration) -> kubernetes.client.Configuration:
    configuration.proxy = configuration.proxy or environment_proxy(configuration.host)
    return configuration if configuration.proxy else without_proxy(configuration)


def _reload_token(configuration: kubernetes.client.Configuration, path: Path) -> None:
    """Read the token from its file before each request, for its writer replaces it as it expires.

    It takes precedence over a token in the kubeconfig. Source: client-go, tools/clientcmd/api/types.go,
    AuthInfo.TokenFile.
    """

    def refresh(of: kubernetes.client.Configuration) -> None:
        try:
            token = path.read_text(encoding="utf-8").strip()
        except OSError:
            # The file is being replaced: keep the last token.
            return
        # The key differs between versions of the client.
        for key in of.api_key:
            of.api_key[key] = f"Bearer {token}"

    refresh(configuration)
    configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]


def for_url(url: str, token: str) -> kubernetes.client.Configuration:
    """An API server on this machine, with a bearer token and without a proxy."""
    configuration = kubernetes.client.Configuration(host=url)
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return without_proxy(configuration)


def without_proxy(configuration: kubernetes.client.Configuration) -> kubernetes.client.Configuration:
    """Use no proxy, even if the environment names one."""
    configuration.proxy = _BYPASSED
    configuration.no_proxy = urlsplit(configuration.host).hostname
    return configuration


def proxies(configuration: kubernetes.client.Configuration) -> dict[str, str]:
    """The proxies of requests, by scheme; empty for direct connections."""
    proxy = configuration.proxy
    return {} if proxy == _BYPASSED else {"http": str(proxy), "https": str(proxy)}


def environment_proxy(url: str) -> str | None:
    """The environment's proxy for a URL (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).

    Loopback never uses a proxy. Source: golang.org/x/net/http/httpproxy, which kubectl uses.
    """
    if is_loopback(urlsplit(url).hostname or "") or requests.utils.should_bypass_proxies(url, no_proxy=None):
        return None
    found = requests.utils.select_proxy(url, getproxies())
    return None if found is None else str(found)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Adapter(HTTPAdapter):
    """A connection pool for all threads; ``server_name``: the expected name in the server's certificate."""

    def __init__(self, server_name: str | None) -> None:
        named: dict[str, Any] = {"server_hostname": server_name, "assert_hostname": server_name}
        self._verified = named if server_name else {}
        super().__init__(pool_maxsize=_CONNECTIONS, pool_block=True)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options, **self._verified)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, **self._verified)


class _ErrorCollector(logging.Handler):
    """Collects logged errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(" ".join(record.getMessage().split()))


@contextmanager
def _logged_errors() -> Iterator[list[str]]:
    # If a plugin fails, the client only logs that and continues without credentials.
    handler = _ErrorCollector()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.texts
    finally:
        logging.getLogger().removeHandler(handler)


def _checked_user(location: str, context: str, logged_errors: Sequence[str]) -> Path | None:
    """The token file of a context's user, if any.

    Raises ConfigException if the user is missing, or its plugin returned no credentials.
    """
    merged = KubeConfigMerger(location).config
    named = merged["contexts"].get_with_name(context)["context"].safe_get("user")
    if not named:
        return None
    user = merged["users"].get_with_name(named, safe=True)
    if user is None:
        raise ConfigException(f"there is no user {named!r}")
    if logged_errors and "exec" in user["user"]:
        command = user["user"]["exec"].safe_get("command")
        raise ConfigException(f"{command} gives no credentials: {'; '.join(logged_errors)}")
    token_file = user["user"].safe_get("tokenFile")
    return Path(user.path).parent / token_file if token_file else None


def _current_context(location: str) -> str | None:
    """The current context; of several files, the first that names a context wins, as with kubectl."""
    contents = KubeConfigMerger(location).config_files.values()
    return next((str(each["current-context"]) for each in contents if each.get("current-context")), None)


def _problem(context: str | None, location: str, error: Exception) -> str:
    message = " ".join(str(error).split())
    try:
        names = [str(entry["name"]) for entry in KubeConfigMerger(location).config["contexts"].value]
        wanted = context or _current_context(location)
    except (ConfigException, OSError, TypeError, yaml.YAMLError):
        names = []
    if not names:
        return (
            "no usable kubeconfig: set KUBECONFIG or --kubeconfig, or create a cluster with `make kind-up`"
            f" ({message})"
        )
    if wanted in names:
        return f"context {wanted!r} of the kubeconfig cannot be used: {message}"
    if wanted is None:
        return f"the kubeconfig has no current context: name one by --context; there are: {', '.join(names)}"
    return f"no context {wanted!r} in the kubeconfig{did_you_mean(wanted, names)}"
