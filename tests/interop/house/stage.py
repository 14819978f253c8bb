"""The house that all cases share, and what one case is given of it."""

import contextlib

from . import certificates
from .agent import Agent
from .gateway import Gateway
from .postgres import Postgres
from .services import Services
from .user import User


class House:
    def __init__(self, hoop, binary, folder, is_plaintext):
        self.hoop, self.binary, self.folder = hoop, binary, folder
        certificates.make(folder)
        self.postgres = Postgres(folder)
        self.gateway = Gateway(hoop, folder, self.postgres, is_plaintext)
        self.services = Services()
        self.user = User(self)

    def close(self):
        self.gateway.program.stop()
        self.postgres.server.stop()


class Stage(contextlib.ExitStack):
    """One case's part; whatever it started ends with it."""

    def __init__(self, house, name):
        super().__init__()
        self.house, self.name = house, name
        self.gateway, self.services, self.user = house.gateway, house.services, house.user
        self.folder = house.folder / name
        self.folder.mkdir()
        self._agents = 0

    def agent(self, mode="standard", variables=None):
        """A new agent, online unless it is embedded."""
        self._agents += 1
        agent = Agent(self.house, f"{self.name.replace('_', '-')}-{self._agents}", mode)
        self.callback(agent.stop)
        return agent.start(variables)

    def keep(self, thing):
        """Closes it at the end, or stops it."""
        self.callback(thing.close if hasattr(thing, "close") else thing.stop)
        return thing
