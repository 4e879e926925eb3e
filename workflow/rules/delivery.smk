"""Phase delivery: the page that people read.

REQUIRES  results/<scenario>/{matrix.parquet,mixtures,models}, data/prepared, data/registry
MAKES     results/<scenario>/{report.html,matrix.svg,flow.svg}
"""


rule delivery:
    input:
        f"{RESULTS}/report.html",
        f"{RESULTS}/matrix.svg",
        f"{RESULTS}/flow.svg",


rule report:
    input:
        matrix=f"{RESULTS}/matrix.parquet",
        audit=f"{RESULTS}/mixtures/audit.json",
        summaries=expand("data/prepared/{dataset}/summary.json", dataset=DATASETS),
        mixtures=[f"{RESULTS}/mixtures/{m.task}/{m.name}.json" for m in MIXTURES],
        cards=[
            file
            for cell in CELLS
            for file in model_files(cell.recipe, cell.scope)
            if Path(file).name == "card.json"
        ],
        registry=[
            "data/registry/tasks.yaml",
            *expand("data/registry/{dataset}.yaml", dataset=DATASETS),
        ],
        configs=[
            file
            for cell in CELLS
            for file in model_files(cell.recipe, cell.scope)
            if Path(file).name == "config.json"
        ],
        comparisons=f"{RESULTS}/comparisons.json",
        influence=f"{RESULTS}/influence.json",
        gaps=f"{RESULTS}/gaps.json",
        calibration=f"{RESULTS}/calibration.json",
        loyalty=f"{RESULTS}/loyalty.json",
        flow="workflow/report/flow.json",
        template=["workflow/report/template.html", "workflow/report/page.css"],
        code=code("report"),
    output:
        page=report(f"{RESULTS}/report.html", caption="../report/report.rst", category="Report"),
        plot=f"{RESULTS}/matrix.svg",
        picture=f"{RESULTS}/flow.svg",
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{BENCHMARKS}/report.tsv"
    params:
        settings=as_json(SETTINGS.model_dump(mode="json", exclude_none=True)),
    message:
        "Writing the report"
    shell:
        f"distilro report --scenario {SETTINGS.scenario} --records {RESULTS}/records"
        f" --benchmarks {BENCHMARKS}"
        " --matrix {input.matrix}"
        " --audit {input.audit} --summaries {input.summaries} --registry data/registry"
        " --comparisons {input.comparisons} --influence {input.influence} --gaps {input.gaps}"
        " --calibration {input.calibration} --loyalty {input.loyalty} --configs {input.configs}"
        " --cards {input.cards} --mixtures {input.mixtures} --settings {params.settings:q}"
        " --dag {input.flow}"
        " --template {input.template[0]} --out {output.page}"
        " --plot {output.plot} --dag-picture {output.picture} 2> {log}"
