"""The package stands alone."""

import subprocess
import sys


def test_the_smtp_package_loads_without_flask_sqlalchemy_redis_and_the_rest_of_us() -> None:
    script = (
        "import sys, mailservice.smtp\n"
        "strangers = {'flask', 'sqlalchemy', 'redis', 'rq'} & set(sys.modules)\n"
        "ours = [m for m in sys.modules if m.startswith('mailservice.') and not m.startswith('mailservice.smtp')]\n"
        "print(sorted(strangers), sorted(ours))\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[] []"
