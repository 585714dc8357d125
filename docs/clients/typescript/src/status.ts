// The status of a job, as the service documents it in openapi.json.

/** A job at one moment; the fields that most programs need. The service sends more. */
export interface Status {
  job_id: string;
  status: "pending" | "processing" | "completed" | "failed" | "cancelled";
  /** From 0 to 100; 100 only when completed. */
  progress: number;
  /** A sentence for people. */
  message: string;
  filename: string;
  current_frame: number;
  total_frames: number | null;
  width: number | null;
  height: number | null;
  eta_s: number | null;
  queue_position: number | null;
  error: string | null;
  error_code: string | null;
  /** What was left out of the results, or assumed. */
  warnings: { code: string; sentence: string }[];
  /** The results by name of format, once completed. */
  urls: Record<string, string | null> | null;
  [field: string]: unknown;
}
