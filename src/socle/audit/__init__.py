"""The compliance suite: requirements and controls, facts and verdicts, evidence and what an auditor reads.

Data flows one way: catalogue and controls (``policies/``) and frozen facts → judgements of controls →
verdicts on requirements → bundle → reports. Only collectors touch a cloud.
"""
