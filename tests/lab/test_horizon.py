"""A tenant's manager logs in to Horizon with a real browser and sees the server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.ui import WebDriverWait

from socle.catalogue.accounts import AUDITOR, DOMAIN
from socle.tenants import session_of
from socle.tenants.accounts import account_passwords, second_factors
from stacks.tenant.plan import domain_name
from tests.lab.factors import code

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@pytest.fixture
def browser(lab: Any, tmp_path: Path) -> Iterator[Any]:
    """Headless Chromium that knows the site's names and trusts nothing but its certificate's key."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    for option in OPTIONS:
        options.add_argument(option)
    options.add_argument(f"--user-data-dir={tmp_path}")
    shared = lab.site.endpoints.public
    options.add_argument(f"--host-resolver-rules=MAP {shared.name} {shared.address}")
    options.accept_insecure_certs = True
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def fill_in(lab: Any, browser: Any, domain: str, name: str, password: str) -> Any:
    """What a person writes on the first page of the portal."""
    browser.get(f"https://{lab.site.endpoints.public.name}/")
    wait = WebDriverWait(browser, 60)
    wait.until(expected.presence_of_element_located((By.NAME, "domain"))).send_keys(domain)
    browser.find_element(By.NAME, "username").send_keys(name)
    browser.find_element(By.NAME, "password").send_keys(password)
    browser.find_element(By.ID, "loginBtn").click()
    return wait


def test_the_tenants_manager_logs_in_and_sees_the_server(lab: Any, cloud: Any, browser: Any) -> None:
    siren, tenant = next((s, t) for s, t in lab.site.tenants.items() if t.servers)
    manager = tenant.access.domain_managers[0]
    speaker = session_of(lab.site).vault()
    password = account_passwords(speaker, siren, [manager])[manager]
    seed = second_factors(speaker, siren, [manager])[manager]
    wait = fill_in(lab, browser, domain_name(siren), manager, password)
    wait.until(expected.presence_of_element_located((By.NAME, "totp"))).send_keys(code(seed))
    browser.find_element(By.CSS_SELECTOR, "form [type=submit]").click()
    wait.until(lambda b: "/auth/" not in b.current_url)
    browser.get(f"https://{lab.site.endpoints.public.name}/project/instances/")
    table = wait.until(expected.presence_of_element_located((By.ID, "instances")))
    assert tenant.servers[0].name in table.text
    assert "Active" in table.text or "Actif" in table.text
    others = [s.id for s in cloud.compute.servers(all_projects=True) if s.id not in browser.page_source]
    assert others, "the manager must not see the servers of other tenants"


def test_a_wrong_password_is_refused(lab: Any, browser: Any) -> None:
    siren, tenant = next((s, t) for s, t in lab.site.tenants.items() if t.servers)
    wait = fill_in(lab, browser, domain_name(siren), tenant.access.domain_managers[0], "wrong")
    wait.until(expected.presence_of_element_located((By.CSS_SELECTOR, ".alert-danger, .help-block")))
    assert "/auth/login" in browser.current_url


def test_an_account_of_the_provider_is_refused(lab: Any, browser: Any) -> None:
    own = session_of(lab.site, as_=AUDITOR)
    own.connect().authorize()  # the password is right: Keystone lets it in
    wait = fill_in(lab, browser, DOMAIN.upper(), own.account, own.password)
    wait.until(expected.presence_of_element_located((By.CSS_SELECTOR, ".alert-danger, .help-block")))
    assert "/auth/login" in browser.current_url
