"""What IAM allows, for a localcloud that enforces it: every call of EC2, SSM, S3, Service Quotas and CloudWatch is
checked against the policies of who makes it.

``policy`` says what a policy's text allows, ``principals`` whose policies those are (by moto's records),
``accesses`` what a request wants, and ``enforcement`` refuses it as AWS does.
"""
