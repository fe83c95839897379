"""Low rank: dense layers and convolutions as chains of smaller ones."""

from trimwatt.technique.factorize.cp import Cp
from trimwatt.technique.factorize.svd import Svd
from trimwatt.technique.factorize.tucker import Tucker

__all__ = ["Cp", "Svd", "Tucker"]
