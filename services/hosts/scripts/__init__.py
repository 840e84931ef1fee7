"""The shell scripts that the steps run on hosts, and the readers of what they answer.

`look_at_…`, `install_…` and `remove_…` are pure: they make a script's text. What the host has
answered is read by the function that is named after the answer.
"""

from services.hosts.scripts.client_directory import (
    ClientDirectory,
    ListedFile,
    Removed,
    client_directory,
    look_at_client_directory,
    remove_client_files,
    removed_client_files,
)
from services.hosts.scripts.curl import Curled, curl_itself, curl_through, curled
from services.hosts.scripts.web_host import (
    Installed,
    Page,
    Restored,
    Undone,
    WebHost,
    WebHostState,
    install_web_page,
    installed_web_page,
    look_at_web_host,
    remove_web_page,
    removed_web_page,
    web_host,
)

__all__ = [
    "ClientDirectory",
    "Curled",
    "Installed",
    "ListedFile",
    "Page",
    "Removed",
    "Restored",
    "Undone",
    "WebHost",
    "WebHostState",
    "client_directory",
    "curl_itself",
    "curl_through",
    "curled",
    "install_web_page",
    "installed_web_page",
    "look_at_client_directory",
    "look_at_web_host",
    "remove_client_files",
    "remove_web_page",
    "removed_client_files",
    "removed_web_page",
    "web_host",
]
