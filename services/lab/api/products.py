"""The products that the lab's cloud has."""

from __future__ import annotations

from services.lab.api.call import Product
from services.lab.api.cas.product import CAS
from services.lab.api.ecs.product import ECS
from services.lab.api.nlb.product import NLB
from services.lab.api.pca.product import PCA
from services.lab.api.sts import STS

PRODUCTS: tuple[Product, ...] = (NLB, CAS, PCA, ECS, STS)
