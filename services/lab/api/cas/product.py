"""CAS 2020-04-07 (Certificate Management Service): its actions."""

from __future__ import annotations

from services.lab.api.call import Product
from services.lab.api.cas import certificates, repositories

CAS = Product(
    code="cas",
    version="2020-04-07",
    host="cas.{site}.aliyuncs.com",
    ram="yundun-cert",
    reads={
        "DescribeWarehouseCert": repositories.describe_warehouse_cert,
        "GetCertWarehouseQuota": repositories.get_cert_warehouse_quota,
        "GetUserCertificateDetail": certificates.get_user_certificate_detail,
        "ListCert": repositories.list_cert,
        "ListCertWarehouse": repositories.list_cert_warehouse,
        "ListUserCertificateOrder": certificates.list_user_certificate_order,
        "ListWarehouse": repositories.list_warehouse,
    },
    writes={
        "CreateWarehouse": repositories.create_warehouse,
        "DeletePCACert": repositories.delete_pca_cert,
        "DeleteUserCertificate": certificates.delete_user_certificate,
        "UploadPCACert": repositories.upload_pca_cert,
        "UploadUserCertificate": certificates.upload_user_certificate,
    },
)
