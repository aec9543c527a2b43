/// The appearance of charts and pages. Colours are custom properties, one set each for light and dark; print is always light.
enum ChartStyle {
    /// Colours for charts and pages. Those of the series can be told apart with any colour vision (after Okabe and Ito, darker
    /// on white and lighter on black), those of a ramp also in grey.
    static let colours = """
        :root{--page:#f6f7f9;--surface:#fff;--text:#1c2430;--quiet:#5b6675;--line:#d9dee5;--grid:#e8ebf0;\
        --hover:rgba(60,80,110,.09);--bad:#a81e1e;--badback:#fdecec;--good:#0a6b4e;--goodback:#e8f6f0;--note:#5b6675;--noteback:#eceff3;\
        --s1:#0b6cb8;--s2:#c8560a;--s3:#0b8a68;--s4:#a8508c;--s5:#8a7400;--s6:#667080;\
        --r1:#93c3e6;--r2:#4f9bd3;--r3:#1c6cab;--r4:#0c3c6b}
        @media screen and (prefers-color-scheme:dark){:root{--page:#12161c;--surface:#1a2029;--text:#e6eaf0;\
        --quiet:#9ba6b5;--line:#37404d;--grid:#29313c;--hover:rgba(190,210,240,.1);--bad:#ff9d94;--badback:#3a1a1a;\
        --good:#6fdcb4;--goodback:#12302a;--note:#9ba6b5;--noteback:#232a34;\
        --s1:#62b0f2;--s2:#f39a55;--s3:#43c69d;--s4:#dc96c8;--s5:#d9c352;--s6:#a4aebb;\
        --r1:#28527a;--r2:#3f86c4;--r3:#7db9ea;--r4:#d3e9fb}}

        """

    /// Styles of the drawings only.
    static let charts = """
        svg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:12px;\
        font-variant-numeric:tabular-nums}
        svg text{fill:var(--quiet)}svg .strong{fill:var(--text)}svg .halo{paint-order:stroke;stroke:var(--surface);\
        stroke-width:4px;stroke-linejoin:round;fill:var(--text)}
        .end{text-anchor:end}.mid{text-anchor:middle}
        .grid{stroke:var(--grid);fill:none}.base{stroke:var(--line);fill:none}.guide{stroke:var(--line);stroke-dasharray:1 4;fill:none}
        .mark{stroke:var(--quiet);stroke-dasharray:3 3;fill:none}.whisker{stroke:var(--text);fill:none}.under{stroke:var(--surface);stroke-width:3;stroke-opacity:.7;fill:none}
        .hover{fill:transparent}.hover:hover{fill:var(--hover)}
        .ring{fill:none;stroke:var(--text);stroke-width:2}
        .series{fill:none;stroke:var(--c);stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}
        .dash{stroke-dasharray:6 4}.area{fill:var(--c);fill-opacity:.16}.fill{fill:var(--c)}
        .c1{--c:var(--s1)}.c2{--c:var(--s2)}.c3{--c:var(--s3)}.c4{--c:var(--s4)}.c5{--c:var(--s5)}.c6{--c:var(--s6)}
        .k1{--c:var(--r1)}.k2{--c:var(--r2)}.k3{--c:var(--r3)}.k4{--c:var(--r4)}

        """

    /// Styles of everything around the drawings.
    static let page = """
        *{box-sizing:border-box}
        body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,\
        "DejaVu Sans",sans-serif;-webkit-text-size-adjust:100%}
        main,header,footer{max-width:1112px;margin:0 auto;padding:0 16px}
        header{padding-top:28px}footer{padding-top:12px;padding-bottom:32px;color:var(--quiet);font-size:13px}
        h1{font-size:22px;line-height:1.3;margin:0 0 4px;font-weight:650;overflow-wrap:anywhere}
        h2{font-size:16px;margin:32px 0 12px;font-weight:650}
        h3{font-size:14px;margin:0 0 2px;font-weight:650}
        p{margin:0 0 8px}.sub{color:var(--quiet);overflow-wrap:anywhere}
        .note{color:var(--quiet);font-size:13px;margin:0 0 10px}
        .verdict{list-style:none;padding:0;margin:18px 0 0}
        .verdict li{padding:9px 14px;border-radius:8px;margin:0 0 8px;border-left:4px solid;overflow-wrap:anywhere}
        .verdict .bad{background:var(--badback);border-color:var(--bad)}
        .verdict .quiet{background:var(--noteback);border-color:var(--note)}
        .verdict .fine{background:var(--goodback);border-color:var(--good)}
        .option{white-space:nowrap}.verdict b{margin-right:.4em}.bad b{color:var(--bad)}.quiet b{color:var(--note)}.fine b{color:var(--good)}
        .facts{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:2px 14px;margin:12px 0 0;font-size:13px}
        .facts dt{color:var(--quiet)}.facts dd{margin:0;overflow-wrap:anywhere}
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:12px;margin:20px 0 0;padding:0}
        .tile,.card{background:var(--surface);border:1px solid var(--line);border-radius:10px}
        .tile{padding:12px 16px}.tile dt{color:var(--quiet);font-size:13px}
        .tile dd{margin:0;font-size:24px;line-height:1.3;font-weight:600;font-variant-numeric:tabular-nums;\
        white-space:nowrap}.tile dd.small{font-size:13px;font-weight:400;color:var(--quiet);white-space:normal}
        .cards{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px}
        .card{padding:14px 16px 12px;margin:0;min-width:0;overflow-x:auto}.wide{grid-column:1/-1}
        .card svg{display:block;width:100%;height:auto}.wide svg{min-width:640px}
        table{border-collapse:collapse;width:calc(100% + 16px);margin:0 -8px;font-size:14px;font-variant-numeric:tabular-nums}
        th,td{padding:5px 8px;text-align:left;border-bottom:1px solid var(--grid);vertical-align:top;\
        overflow-wrap:anywhere}table.many th{overflow-wrap:normal}
        tr:last-child td,tr:last-child th{border-bottom:0}
        thead th{color:var(--quiet);font-weight:500;font-size:13px;border-bottom-color:var(--line);overflow-wrap:normal;\
        vertical-align:bottom}
        tbody th{font-weight:500}td.n,th.n{text-align:right;white-space:nowrap;overflow-wrap:normal}\
        thead th.n{white-space:normal}
        td small{color:var(--quiet);display:block;font-size:12px;white-space:nowrap}
        table.sorted{display:grid}table.sorted thead,table.sorted tbody{display:contents}
        table.sorted tr{display:grid;grid-template-columns:subgrid;grid-column:1/-1}table.sorted thead tr{order:-1}\
        table.sorted tr:last-child td,table.sorted tr:last-child th{border-bottom:1px solid var(--grid)}
        thead label{cursor:pointer;text-decoration:underline dotted;text-underline-offset:3px}
        thead input{position:absolute;opacity:0;pointer-events:none}thead label:has(:checked){color:var(--text);font-weight:650}
        thead label:has(:focus-visible){outline:2px solid var(--s1)}.unsort{margin-left:.6em;cursor:pointer;white-space:nowrap}
        tr.best td,tr.best th{background:var(--goodback)}.why{color:var(--quiet);font-style:italic}
        @media screen and (max-width:760px){.cards{grid-template-columns:minmax(0,1fr)}.tile dd{font-size:20px}}
        @media print{body{background:#fff;font-size:12px}.card,.tile,.verdict li,tr{break-inside:avoid}\
        h2{break-after:avoid}main,header,footer{max-width:none;padding-left:0;padding-right:0}.wide svg{min-width:0}\
        .verdict li,.fill,.area,tr.best td{-webkit-print-color-adjust:exact;print-color-adjust:exact}}

        """
}
