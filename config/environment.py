"""The variables of the environment. One comes from the process's environment, else `.env`, else `.local/env`."""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(str(BASE_DIR / ".env"))
LOCAL_DIR = Path(env.str("LOCAL_DIR", default=str(BASE_DIR / ".local")))
env.read_env(str(LOCAL_DIR / "env"))
