import Foundation
import H2Client
import H2Measure
import H2TestSupport
import HTTPTypes
import Histogram
import Testing

@Suite(.inTurn) struct BenchJSONTests {
    /// Prints a line for what is wrong with each of the documents.
    private static let validator = """
        import json, sys, jsonschema
        schema = json.load(open(sys.argv[1]))
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for path in sys.argv[2:]:
            errors = sorted(validator.iter_errors(json.load(open(path))), key=lambda error: list(map(str, error.path)))
            print("; ".join("/".join(map(str, error.absolute_path)) + ": " + error.message[:200] for error in errors) or "valid")
        """

    private static var schemaPath: String {
        "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/") + "/docs/bench.schema.json"
    }

    private func document(_ result: BenchResult, _ plan: BenchPlan) -> String {
        BenchJSON.text(result, plan, verdicts: Verdict.all(result, plan))
    }

    /// What is wrong with each document, "valid" for nothing.
    static func judged(_ documents: [String]) throws -> [String] {
        let python = "/usr/bin/python3"
        guard (try? Program.run(python, ["-c", "import jsonschema"])) != nil else {
            try RealServer.skip("python3-jsonschema is not installed (Scripts/setup test installs it)")
            return []
        }
        let paths = try documents.map { document in
            let path = try TemporaryDirectory.shared.newPath("bench.json")
            try Data(document.utf8).write(to: URL(fileURLWithPath: path))
            return path
        }
        let said = try Program.run(python, ["-c", validator, schemaPath] + paths)
        return said.split(separator: "\n").map(String.init)
    }

    @Test func `Every kind of result matches the schema`() throws {
        var plans = [samplePlan()]
        plans[0].connectionRamp = .init(count: 2, period: .milliseconds(100))
        plans[0].requestsPerConnection = 1000
        plans[0].activeTimeout = .seconds(3)
        plans[0].inactivityTimeout = .seconds(4)
        plans[0].requests[0].request.headerFields[.accept] = "secret"
        for pace in [
            BenchPlan.Pace.arrivals(from: 1, to: 1000, ramp: .milliseconds(1500)), .arrivalsPerConnection(10.5),
        ] {
            var plan = samplePlan()
            plan.extent = .time(.milliseconds(2500))
            plan.pace = pace
            plan.protocols = pace == .arrivalsPerConnection(10.5) ? .cleartextHTTP1 : .cleartextHTTP2
            plan.api = .async
            plans.append(plan)
        }
        var scripted = samplePlan()
        scripted.pace = .script([0, 1_500_000])
        scripted.expectation = .init(statuses: [200], bodyBytes: 3, sha256: (0..<32).map { $0 * 8 })
        plans.append(scripted)
        var documents = plans.map { document(fullResult(), $0) }
        documents.append(document(sampleResult(), samplePlan()))
        let outcomes = try [FailCondition("p99>1ms"), FailCondition("errors>0.1%"), FailCondition("5xx>9")]
        documents.append(
            BenchJSON.text(
                fullResult(), samplePlan(), verdicts: Verdict.all(fullResult(), samplePlan()),
                outcomes: outcomes.judge(fullResult()),
                context: ReportContext(program: "h2get 1.2.3", commandLine: "h2get bench x")))
        documents.append(
            BenchJSON.text(
                BenchResult(), samplePlan(), verdicts: Verdict.all(BenchResult(), samplePlan()),
                outcomes: outcomes.judge(BenchResult())))
        #expect(documents[documents.count - 2].contains(#""command_line": "h2get bench x""#))
        #expect(documents[documents.count - 2].contains(#""url": "https://127.0.0.1:8443/3""#))
        // One of a measurement in which nothing happened at all.
        documents.append(document(BenchResult(), samplePlan()))
        #expect(!documents[0].contains("secret"))
        #expect(documents[3].contains(#""script": [0, 0.0015]"#))
        #expect(documents[3].contains(#""body_sha256": "0008101820"#))
        #expect(documents[0].contains(#""header_names": ["accept"]"#))
        let said = try Self.judged(documents)
        #expect(said == documents.map { _ in "valid" }, "\(said)")
    }

    @Test func `A wrong document does not`() throws {
        let good = document(sampleResult(), samplePlan())
        let wrong = [
            good.replacingOccurrences(of: #""elapsed_seconds": 10,"#, with: ""),
            good.replacingOccurrences(of: #""elapsed_seconds": 10,"#, with: #""elapsed_seconds": "10","#),
            good.replacingOccurrences(of: #""drained": 0"#, with: #""drained": 0, "surprise": 0"#),
            good.replacingOccurrences(of: #""stddev_seconds""#, with: #""sd_seconds""#),
            good.replacingOccurrences(of: #""severity": "fine""#, with: #""severity": "superb""#),
            good.replacingOccurrences(of: #""kind": "complete""#, with: #""kind": "done""#),
        ]
        for document in wrong { #expect(document != good) }
        let said = try Self.judged(wrong)
        #expect(said.count == wrong.count)
        for (line, part) in zip(
            said,
            ["'elapsed_seconds' is a required", "'10' is not of type", "surprise", "sd_seconds", "superb", "done"])
        {
            #expect(line.contains(part), "\(line)")
        }
    }

    /// Without Python too: what is required is all there is, nothing else is allowed, and everything is described.
    @Test func `The schema is strict everywhere`() throws {
        let schema = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: Self.schemaPath)))
        var objects = 0
        func look(_ value: Any, _ path: String) {
            guard let members = value as? [String: Any] else {
                for item in value as? [Any] ?? [] { look(item, path + "[]") }
                return
            }
            if members["type"] as? String == "object" {
                objects += 1
                let properties = members["properties"] as? [String: Any] ?? [:]
                #expect(members["additionalProperties"] as? Bool == false, "\(path)")
                #expect(Set(members["required"] as? [String] ?? []) == Set(properties.keys), "\(path)")
                for (name, property) in properties {
                    #expect((property as? [String: Any])?["description"] is String, "\(path).\(name)")
                }
            }
            for (name, member) in members { look(member, "\(path).\(name)") }
        }
        look(schema, "")
        #expect(objects > 15)
    }

    @Test func `Times are in seconds and requests add up`() throws {
        let text = document(fullResult(), samplePlan())
        let read = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let requests = try #require(read["requests"] as? [String: Int])
        #expect(requests["sent"]! == requests["done"]! + requests["failed"]! + requests["aborted"]!)
        let latency = try #require(read["latency"] as? [String: Any])
        #expect(latency["count"] as? Int == 200_000)
        let p50 = try #require(latency["p50_seconds"] as? Double)
        #expect(abs(p50 - 0.00149) < 0.000002)
        #expect(abs(try #require(latency["p99_99_seconds"] as? Double) - 0.00199) < 0.000002)
        let waits = try #require(read["waits"] as? [String: Any])
        #expect(waits["stream_seconds"] as? Double == 2)
        let errors = try #require(read["errors"] as? [[String: Any]])
        #expect(errors.map { $0["count"] as? Int } == [5, 2])
        #expect(errors[1]["cause"] as? String == "GOAWAY: \u{1b}]0;x\u{7}\u{202e}\n\\")
        #expect(!text.contains("\u{1b}"))
    }

    @Test func `An interval has a latency where there is one`() throws {
        var result = sampleResult()
        // Answers to requests of the warm-up alone, and answers of the drain alone.
        (result.intervals[0].p50, result.intervals[0].p99, result.intervals[0].longest) = (0, 0, 0)
        result.intervals[9].done = 0
        let text = document(result, samplePlan())
        let read = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let line = try #require(read["time_line"] as? [[String: Any]])
        #expect(line[0]["p99_seconds"] is NSNull)
        #expect(line[9]["p99_seconds"] as? Double == 0.00198)
    }

    @Test func `The encoded histogram is the one that was measured`() throws {
        let result = sampleResult()
        let text = document(result, samplePlan())
        let read = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let encoded = try #require((read["latency"] as? [String: Any])?["hdr_histogram"] as? String)
        var merge = HistogramLogMerge()
        try merge.add("0.000,10.000,1.990,\(encoded)\n", file: "document")
        #expect(merge.series[0].histogram.totalCount == result.latency.totalCount)
        #expect(merge.series[0].histogram.valueAtPercentile(99) == result.latency.valueAtPercentile(99))
    }
}
