"""Private CA 2020-06-30: its actions. (Its hosts and SDK package are called CAS as well.)"""

from __future__ import annotations

from services.lab.api.call import Product
from services.lab.api.pca import authorities, issued

PCA = Product(
    code="cas",
    version="2020-06-30",
    host="cas.{site}.aliyuncs.com",
    ram="yundun-cert",
    reads={
        "DescribeCACertificate": authorities.describe_ca_certificate,
        "DescribeCACertificateCount": authorities.describe_ca_certificate_count,
        "DescribeCACertificateList": authorities.describe_ca_certificate_list,
        "DescribeCertificatePrivateKey": issued.describe_certificate_private_key,
        "DescribeClientCertificate": issued.describe_client_certificate,
        "DescribeClientCertificateStatus": issued.describe_client_certificate_status,
        "GetCAInstanceStatus": authorities.get_ca_instance_status,
        "ListClientCertificate": issued.list_client_certificate,
    },
    writes={
        "CreateClientCertificate": issued.create_client_certificate,
        "CreateClientCertificateWithCsr": issued.create_client_certificate_with_csr,
        "CreateRevokeClientCertificate": issued.create_revoke_client_certificate,
        "CreateRootCACertificate": authorities.create_root_ca_certificate,
        "CreateServerCertificate": issued.create_server_certificate,
        "CreateServerCertificateWithCsr": issued.create_server_certificate_with_csr,
        "CreateSubCACertificate": authorities.create_sub_ca_certificate,
        "DeleteClientCertificate": issued.delete_client_certificate,
        "UpdateCACertificateStatus": authorities.update_ca_certificate_status,
        "UploadPcaCertToCas": issued.upload_pca_cert_to_cas,
    },
)
