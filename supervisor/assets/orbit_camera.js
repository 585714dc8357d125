// A camera that looks at a person from any side: where a point in space is in its picture.

const RADIANS = Math.PI / 180;
/** The point that it looks at, in metres above the ground. */
const TARGET_M = 0.9;
/** Its distance from there. */
const DISTANCE_M = 4.5;
/** What a picture shows at that distance, at least, in metres. */
const VIEW_M = 2.8;
const PITCH_MIN = -10;
const PITCH_MAX = 90;

/** The direction from which it looks at first: that of the video, from a little above. */
export const AS_FILMED = { yaw: 0, pitch: 10 };

export class OrbitCamera {
  #yaw = AS_FILMED.yaw;
  #pitch = AS_FILMED.pitch;

  /** How far the scene is turned to the right, from -179 to 180 degrees. */
  get yaw() {
    return this.#yaw;
  }

  /** How far from above it looks, in degrees. */
  get pitch() {
    return this.#pitch;
  }

  look({ yaw, pitch }) {
    this.#yaw = yaw - 360 * Math.ceil(yaw / 360 - 0.5);
    this.#pitch = Math.min(PITCH_MAX, Math.max(PITCH_MIN, pitch));
  }

  /**
   * The function that gives a point's place in a picture of this size, in pixels, and how near it is. Points are in
   * metres: X to the right of the video, Y up from the ground, Z to its camera.
   */
  projection({ width, height }) {
    const [yaw, pitch] = [this.#yaw * RADIANS, this.#pitch * RADIANS];
    const [sinYaw, cosYaw, sinPitch, cosPitch] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
    const pixels = Math.min(width, height) / VIEW_M;
    return ([x, y, z]) => {
      const up = y - TARGET_M;
      const ahead = z * cosYaw - x * sinYaw;
      const near = up * sinPitch + ahead * cosPitch;
      const scale = (pixels * DISTANCE_M) / (DISTANCE_M - near);
      return {
        x: width / 2 + (x * cosYaw + z * sinYaw) * scale,
        y: height / 2 - (up * cosPitch - ahead * sinPitch) * scale,
        near,
      };
    };
  }
}
